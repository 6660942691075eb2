import type { Sidero } from '@sidero/core';
import { eventSink } from './events/event-sink.ts';
import type { LinkListener } from './link.ts';
import { kernelLogs } from './logs/kernel-logs.ts';
import { LiveDirectory } from './machines/live-directory.ts';
import type { SideroLinkOptions } from './plugin.ts';

/** The places in the tunnel where machines send their kernel logs and events. */
export function addStreams(sidero: Sidero, options: SideroLinkOptions): readonly LinkListener[] {
  const { lifecycle, log, metrics, resources, services } = sidero;
  const directory = new LiveDirectory(resources);
  services.add({
    name: 'siderolink-machines',
    where: 'every',
    run(signal, ready) {
      const done = directory.run(signal);
      ready();
      return done;
    },
  });
  const given = { directory, resources, log, metrics };
  return [
    kernelLogs({
      ...given,
      port: options.logPort,
      take({ machine, line, at }) {
        lifecycle.stream({ type: 'log', ...(machine && { uuid: machine.uuid }), names: machine?.names ?? {}, line, at });
        return undefined;
      },
    }),
    eventSink({
      ...given,
      port: options.eventPort,
      negativeAddressFilter: options.negativeAddressFilter,
      take({ machine, event, line, at }) {
        lifecycle.stream({ type: 'talos', uuid: machine.uuid, names: machine.names, event, line, at });
      },
    }),
  ];
}
