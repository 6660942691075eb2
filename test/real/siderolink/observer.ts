import { appendFileSync, readFileSync } from 'node:fs';
import { type CustomResourceDefinition, definePlugin, type ServerEvent } from '@sidero/core';
import { load } from 'js-yaml';
import * as z from 'zod';

/** A record of the `stream` hook that it wrote down, one JSON object a line. `line` is what the containers of the original print. */
export type Observed =
  | { readonly type: 'log'; readonly uuid?: string; readonly line: string }
  | { readonly type: 'talos'; readonly uuid?: string; readonly id: string; readonly kind: string; readonly line: string };

/** Kinds that names come from. */
export const KINDS = ['crds/metalmachines.yaml', 'standalone/machines.yaml'].map(
  (file) => new URL(`../../../plugins/caps/manifests/${file}`, import.meta.url),
);

/**
 * Watches from inside of the management plane, as any plugin may: writes down what machines send, signs join tokens as a network boot would get
 * them, and brings the kinds of Cluster API's that names come from.
 */
export const observer = definePlugin({
  name: 'observer',
  options: z.strictObject({
    file: z.string().describe('where the stream is written to'),
    bringsKinds: z.boolean().default(true).describe("whether nobody else brings Cluster API's kinds"),
    isCounting: z.boolean().default(false).describe('only counts kernel logs: for more of them than a file should take'),
  }),
  setup({ customResources, hooks, http, tokens }, { file, bringsKinds, isCounting }) {
    for (const kind of bringsKinds ? KINDS : []) {
      const definition = load(readFileSync(kind, 'utf8')) as CustomResourceDefinition;
      customResources.add({ name: definition.metadata.name, definition });
    }
    let logs = 0;
    hooks.stream.tap('observer', (event) => {
      if (event.type === 'log') logs++;
      const written = event.type === 'log' && isCounting ? undefined : observed(event);
      if (written) appendFileSync(file, `${JSON.stringify(written)}\n`);
    });
    http.route('GET', '/observer/logs', (context) => {
      context.body = String(logs);
    });
    http.route('GET', '/observer/token', async (context) => {
      const [uuid, name] = ['uuid', 'name'].map((key) => String(context.query[key])) as [string, string];
      context.body = await tokens.sign('join', { uuid, metalMachine: { namespace: 'default', name } });
    });
  },
});

function observed(event: ServerEvent): Observed | undefined {
  if (event.type === 'log') return { type: 'log', ...(event.uuid && { uuid: event.uuid }), line: event.line };
  if (event.type !== 'talos') return undefined;
  return { type: 'talos', ...(event.uuid && { uuid: event.uuid }), id: event.event.id, kind: event.event.type, line: event.line };
}
