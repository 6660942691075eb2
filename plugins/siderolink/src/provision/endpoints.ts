import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { hostPort } from '../installation/network.ts';

/** A name's addresses are asked for anew after this. */
const KEEP_MS = 10_000;
/** A resolver that is away must not hold machines up. */
const LOOKUP_MS = 2000;

/** The first and the last change places; the same again undoes it. Old machines, which know one endpoint, read the last. */
export function swapEnds<T>(list: readonly T[]): readonly T[] {
  if (list.length < 2) return list;
  return [list.at(-1)!, ...list.slice(1, -1), list[0]!];
}

/** Where WireGuard is reached, asked for anew for every machine: all addresses of a name, or the name itself while nobody here knows it. */
export function endpointsOf(host: string, port: number): () => Promise<readonly string[]> {
  let kept: { readonly endpoints: Promise<readonly string[]>; readonly atMs: number } | undefined;
  const resolve = async (): Promise<readonly string[]> => {
    if (isIP(host) !== 0) return [hostPort(host, port)];
    const late = new Promise<[]>((resolve) => setTimeout(resolve, LOOKUP_MS, []).unref());
    const found = await Promise.race([lookup(host, { all: true, order: 'ipv4first' }).catch(() => []), late]);
    // Talos resolves names too.
    return found.length > 0 ? [...new Set(found.map(({ address }) => hostPort(address, port)))] : [hostPort(host, port)];
  };
  return () => {
    if (!kept || performance.now() - kept.atMs > KEEP_MS) kept = { endpoints: resolve(), atMs: performance.now() };
    return kept.endpoints;
  };
}
