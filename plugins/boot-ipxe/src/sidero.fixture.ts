import { PassThrough } from 'node:stream';
import {
  type BootFile,
  type BootPlan,
  type BootRequest,
  createLogger,
  createMetrics,
  type DiskBoot,
  type Registry,
  type ServerEvent,
  type Sidero,
} from '@sidero/core';

interface Given {
  readonly dataDir?: string;
  readonly endpoint?: string;
  stream?(event: ServerEvent): void;
  boot?(request: BootRequest): Promise<BootPlan>;
}

/** The parts of Sidero this plugin uses, around what a test gives; `lines` are the log. */
export function aSidero(given: Given = {}): Sidero & { lines(): string[]; readonly routes: Map<string, Parameters<Sidero['http']['route']>[2]> } {
  const destination = new PassThrough({ highWaterMark: 1 << 24 });
  const log: string[] = [];
  destination.on('data', (line: Buffer) => log.push(line.toString()));
  const endpoint = given.endpoint ?? '172.25.0.2';
  const routes = new Map<string, Parameters<Sidero['http']['route']>[2]>();
  const parts = {
    site: {
      endpoint,
      apiPort: 8081,
      authority: `${endpoint}:8081`,
      dataDir: given.dataDir ?? '/nonexistent',
      bootAuth: 'require',
      bootFromDiskMethod: 'ipxe-exit',
      extraAgentArgs: '',
    },
    lifecycle: { stream: given.stream ?? (() => undefined), boot: given.boot },
    resources: { get: async () => undefined },
    http: { route: (_method: string, path: string, handler: Parameters<Sidero['http']['route']>[2]) => void routes.set(path, handler) },
    files: aRegistry<BootFile>(),
    diskBoots: aRegistry<DiskBoot>(),
    metrics: createMetrics(),
    log: createLogger({ level: 'debug', destination }),
    lines: () => log,
    routes,
  };
  return parts as unknown as ReturnType<typeof aSidero>;
}

function aRegistry<T extends { readonly name: string }>(): Registry<T> {
  const entries = new Map<string, T>();
  return {
    add: (entry) => void entries.set(entry.name, entry),
    get: (name) => entries.get(name),
    list: () => [...entries.values()],
    ownerOf: () => 'test',
  };
}
