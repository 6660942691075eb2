import { definePlugin, text } from '@sidero/core';
import * as z from 'zod';

/** Gives every server that registers a label. */
export const example = definePlugin({
  name: 'example',
  // The descriptions are what `sidero inspect` shows, and the README's table must have every option.
  options: z.strictObject({
    room: z.string().min(1).describe('value of the label "room" that servers get when they register'),
  }),
  // An environment variable, and with it a flag (--example-room): they win over the config file.
  settings: { room: text('SIDERO_EXAMPLE_ROOM') },
  // Only registers; what a tap does, it does later. Whatever starts or listens is a service: sidero.services.add(…).
  setup({ hooks, metrics }, { room }) {
    const labelled = metrics.counter('sidero_example_labelled_total', 'Servers that were given the label.');
    hooks.discover.tap('example', (draft) => {
      labelled();
      return { ...draft, labels: { ...draft.labels, room } };
    });
  },
});
