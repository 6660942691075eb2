/**
 * What the work gives, as long as the signal lets us wait for it; the work itself goes on, and nobody hears of its failure then.
 * @throws the signal's reason, also when both are there already
 */
export async function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const stop = () => reject(signal.reason);
  signal.addEventListener('abort', stop, { once: true });
  if (signal.aborted) stop();
  return await Promise.race([aborted, work]).finally(() => signal.removeEventListener('abort', stop));
}
