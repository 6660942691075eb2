import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { testCache } from '../kubernetes-parts.ts';

const ROOT = join(import.meta.dirname, '../../..');
const run = promisify(execFile);

const PLUGINS = ['agent', 'boot-ipxe', 'caps', 'ipmi', 'redfish', 'siderolink'].map((name) => `plugins/${name}`);

/** A site as somebody would keep it: the plugins of this repository, and one of its own. */
const CONFIG = `import { defineConfig } from '@sidero/core';
import { agent } from '@sidero/plugin-agent';
import { bootIpxe } from '@sidero/plugin-boot-ipxe';
import { caps } from '@sidero/plugin-caps';
import { ipmi } from '@sidero/plugin-ipmi';
import { redfish } from '@sidero/plugin-redfish';
import { siderolink } from '@sidero/plugin-siderolink';
import { rack } from './plugins/rack.ts';

const dhcp = [{ interface: 'br0', mode: 'full', range: ['10.77.0.50', '10.77.0.60'] }] as const;

export default defineConfig({ plugins: [bootIpxe({ dhcp }), agent(), redfish(), ipmi(), siderolink(), caps(), rack({ row: 'a' })] });
`;
const PLUGIN = `import { definePlugin } from '@sidero/core';
import * as z from 'zod';

export const rack = definePlugin({
  name: 'rack',
  options: z.strictObject({ row: z.string() }),
  setup({ http }, { row }: { row: string }) {
    http.route('GET', '/row', (context) => {
      context.body = row;
    });
  },
});
`;

/** A folder with a configuration, and the commands of whoever installs Sidero. */
export interface Site extends AsyncDisposable {
  readonly folder: string;
  readonly config: string;
  /** Builds the image into a file of that name; gives what is told of it. */
  build(file: string, args: readonly string[]): Promise<string>;
  /** The bundle as clusterctl would install it, without any variable set. */
  components(): Promise<string>;
}

/** Name of the image; what `sidero manifests --bundle` writes by itself. */
export const IMAGE = 'localhost/sidero-metal:v0.7.0';

/** Makes the folder, below the one with node_modules. */
export async function makeSite(): Promise<Site> {
  await mkdir(join(ROOT, '.cache'), { recursive: true });
  const folder = await mkdtemp(join(ROOT, '.cache/image-site-'));
  const config = join(folder, 'sidero.config.ts');
  await mkdir(join(folder, 'plugins'));
  await writeFile(config, CONFIG);
  await writeFile(join(folder, 'plugins/rack.ts'), PLUGIN);
  // What is wrong with types is told by the checks, and is built all the same.
  await run(process.execPath, [join(ROOT, 'node_modules/typescript/bin/tsc'), '-b', 'core', ...PLUGINS], { cwd: ROOT }).catch(() => undefined);
  const node = (args: readonly string[]) => run(process.execPath, ['--conditions=source', ...args], { env: variables() });
  return {
    folder,
    config,
    build: async (file, args) => (await node([join(ROOT, 'image/src/main.ts'), '--config', config, '--out', join(folder, file), ...args])).stdout,
    components: async () => {
      const bundle = join(folder, 'bundle');
      const { stdout } = await node([join(ROOT, 'core/bin/sidero.js'), '--config', config, 'manifests', '--bundle', bundle]);
      const [, path = ''] = /url: file:\/\/(\S+)/.exec(stdout) ?? [];
      // As clusterctl does it.
      return (await readFile(path, 'utf8')).replaceAll(/\$\{\w+:=([^}]*)\}/g, '$1');
    },
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}

function variables(): NodeJS.ProcessEnv {
  return { ...process.env, SIDERO_IMAGE_CACHE: join(testCache(), 'image-debian') };
}
