import { failure, SideroError } from '../errors.ts';

/**
 * Runs a plugin's setup; what goes wrong in it is told with the plugin's name.
 * @throws SIDERO_PLUGIN_SETUP_FAILED, and the errors with a code that the setup throws
 */
export function blameSetup(plugin: string, setup: () => unknown): void {
  try {
    const result = setup();
    if (typeof (result as { then?: unknown } | undefined)?.then !== 'function') return;
    (result as Promise<unknown>).then(undefined, () => undefined);
    throw new TypeError('it is an async function, and nobody waits for it');
  } catch (cause) {
    if (cause instanceof SideroError) throw cause;
    throw failure('SIDERO_PLUGIN_SETUP_FAILED', { plugin, cause });
  }
}
