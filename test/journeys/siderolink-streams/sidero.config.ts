import { defineConfig } from '@sidero/core';
import { siderolink } from '@sidero/plugin-siderolink';

/** For the commands that read what another process keeps: nothing of it is started. */
export default defineConfig({ endpoint: '127.0.0.1', plugins: [siderolink()] });
