/** An answer to an HTTP request, as the access log tells it. */
export interface Answer {
  readonly method: string;
  /** Without the query, which carries identities and tokens. */
  readonly path: string;
  readonly status: number;
  /** Who asked. */
  readonly address: string;
}

/** Who was quiet for so long is told of again. */
const QUIET_MS = 10 * 60_000;
/** Addresses that are remembered; those that asked longest ago are forgotten. */
const REMEMBERED = 4096;

/**
 * Gives whether an answer is news. A machine that waits asks every few seconds and is told the same each time: a thousand of them would bury
 * all else in the log. So it is none when the answer before it to the same address was the same one. `nowMs` is the clock.
 */
export function createAnswerNews(nowMs: () => number = () => performance.now()): (answer: Answer) => boolean {
  const last = new Map<string, { readonly said: string; readonly atMs: number }>();
  return ({ method, path, status, address }) => {
    const [before, said, atMs] = [last.get(address), `${method} ${path} ${status}`, nowMs()];
    last.delete(address);
    last.set(address, { said, atMs });
    if (last.size > REMEMBERED) last.delete(last.keys().next().value!);
    return before?.said !== said || atMs - before.atMs >= QUIET_MS;
  };
}
