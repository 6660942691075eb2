import { failure } from '../errors.ts';

/** A plugin's name is the tap, the log field and the metric label: one word for one plugin. @throws SIDERO_PLUGIN_NAME_INVALID */
export function checkPluginNames(plugins: readonly { readonly name: string }[]): void {
  const seen = new Set<string>();
  for (const { name } of plugins) {
    if (!/^[a-z][a-z0-9-]*$/.test(name))
      throw failure('SIDERO_PLUGIN_NAME_INVALID', { name, problem: 'it is not made of lower-case words with hyphens' });
    if (seen.has(name)) throw failure('SIDERO_PLUGIN_NAME_INVALID', { name, problem: 'another plugin, perhaps one of core, has that name' });
    seen.add(name);
  }
}
