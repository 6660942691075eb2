import { loadAll } from 'js-yaml';
import { kernelArgument } from '../machine/agent.ts';

/** Where a machine that runs Talos finds SideroLink. */
export interface LinkSettings {
  /** `host:port` of Provision. */
  readonly api: string;
  readonly joinToken: string;
  /** `host:port` inside the tunnel, for Talos' events and for the kernel log. */
  readonly events: string | undefined;
  readonly logs: string | undefined;
}

/** As Talos reads its kernel's arguments; undefined without SideroLink. */
export function linkSettingsOfArgs(args: readonly string[]): LinkSettings | undefined {
  const api = kernelArgument(args, 'siderolink.api');
  if (!api) return undefined;
  const logs = kernelArgument(args, 'talos.logging.kernel');
  return { ...apiOf(api), events: kernelArgument(args, 'talos.events.sink'), logs: logs && new URL(logs).host };
}

/** The same from the documents of a configuration, which are all that is left after a reboot from disk. */
export function linkSettingsOfConfig(config: string): LinkSettings | undefined {
  const documents = loadAll(config) as ({ kind?: string; apiUrl?: string; endpoint?: string; url?: string } | null)[];
  const find = (kind: string) => documents.find((document) => document?.kind === kind);
  const api = find('SideroLinkConfig')?.apiUrl;
  if (!api) return undefined;
  const logs = find('KmsgLogConfig')?.url;
  return { ...apiOf(api), events: find('EventSinkConfig')?.endpoint, logs: logs && new URL(logs).host };
}

// Without a scheme it is plain gRPC.
function apiOf(text: string): Pick<LinkSettings, 'api' | 'joinToken'> {
  const { host, searchParams } = new URL(text.includes('://') ? text : `grpc://${text}`);
  return { api: host, joinToken: searchParams.get('jointoken') ?? '' };
}
