/** Run as a program, `trace-config.ts FILE`: loads a configuration as `sidero` does, and prints which files that took, as JSON. */
import { registerHooks } from 'node:module';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const file = resolve(process.argv[2]!);
const files = new Set([file]);
registerHooks({
  load(url, context, next) {
    if (url.startsWith('file:')) files.add(fileURLToPath(url.replace(/[?#].*$/, '')));
    return next(url, context);
  },
});
// After the hook, so that core counts as well.
const { loadConfig, SideroError } = await import('@sidero/core');
try {
  await loadConfig({ file });
  process.stdout.write(JSON.stringify([...files]));
} catch (thrown) {
  process.stderr.write(thrown instanceof SideroError ? thrown.message : String(thrown));
  process.exitCode = 1;
}
