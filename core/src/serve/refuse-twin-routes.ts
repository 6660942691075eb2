import { failure } from '../errors.ts';
import type { Route } from '../sidero.ts';

/** Two plugins may not answer one request. @throws SIDERO_REGISTRY_CONFLICT */
export function refuseTwinRoutes(routes: readonly { readonly plugin: string; readonly route: Route }[], registry: string): void {
  const owners = new Map<string, string>();
  for (const { plugin, route } of routes) {
    const name = `${route.method} ${route.path}`;
    const first = owners.get(name);
    if (first) throw failure('SIDERO_REGISTRY_CONFLICT', { registry, name, first, second: plugin });
    owners.set(name, plugin);
  }
}
