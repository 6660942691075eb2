import { siteSettings } from '../config.ts';
import type { Kernel } from '../kernel.ts';
import { FIXED_VARIABLES } from './deployment.ts';

/** The variables of the site and of plugins that may be set when Sidero is installed. A plugin that brings an API server rests in a cluster. */
export function settableVariables(kernel: Kernel): readonly string[] {
  const resting = new Set(kernel.clusters.map(({ plugin }) => plugin));
  const ofPlugins = kernel.plugins.filter(({ name }) => !resting.has(name)).flatMap(({ options }) => Object.values(options.settings));
  const ofSite = Object.values(siteSettings).map(({ variable }) => variable);
  return [...new Set([...ofSite, ...ofPlugins])].filter((name) => !FIXED_VARIABLES.includes(name));
}
