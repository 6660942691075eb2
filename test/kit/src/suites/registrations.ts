import { Writable } from 'node:stream';
import { type BootFile, checkConfig, createLogger, type DiskBoot, type Plugin, type PowerDriver, type Service } from '@sidero/core';
import { assemble } from '@sidero/core/start';

/** What a plugin registered, besides taps and routes. */
export interface Registrations {
  readonly diskBoots: readonly DiskBoot[];
  readonly files: readonly BootFile[];
  readonly powerDrivers: readonly PowerDriver[];
  readonly services: readonly Service[];
}

/** Sets a plugin up as `sidero inspect` does: nothing runs, and there is no API to talk to. @throws what its setup throws */
export function registrations(plugin: Plugin): Registrations {
  const config = checkConfig({ endpoint: '127.0.0.1', plugins: [plugin] }, { file: 'test', variables: {} });
  const log = createLogger({ level: 'silent', destination: new Writable({ write: (_chunk, _encoding, done) => done() }) });
  const { tables } = assemble({ config, log, variables: {}, strict: true }).kernel;
  const owned = <T extends { readonly name: string }>(table: {
    for(plugin: string): { list(): readonly T[]; ownerOf(name: string): string | undefined };
  }) => {
    const registry = table.for('test kit');
    return registry.list().filter(({ name }) => registry.ownerOf(name) === plugin.name);
  };
  return {
    diskBoots: owned(tables.diskBoots),
    files: owned(tables.files),
    powerDrivers: owned(tables.powerDrivers),
    services: owned(tables.services),
  };
}
