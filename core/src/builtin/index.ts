import type { Plugin } from '../index.ts';
import { customResources } from './custom-resources.ts';
import { dataDirectory } from './data-directory.ts';
import { environments } from './environments.ts';
import { keepDisks } from './keep-disks.ts';
import { serverClasses } from './server-classes.ts';
import { servers } from './servers/index.ts';
import { webhooks } from './webhooks.ts';

/** Core's own behaviour, written as any plugin is, in the order in which it is set up. */
export function builtinPlugins(): readonly Plugin[] {
  return [customResources(), webhooks(), servers(), serverClasses(), environments(), keepDisks(), dataDirectory()];
}
