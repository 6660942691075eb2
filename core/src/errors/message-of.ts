/** The one-line text of anything that was thrown. */
export function messageOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return String(thrown);
  // A host with several addresses fails as all of them together, and that error has no text of its own.
  if (thrown.message === '' && thrown instanceof AggregateError && thrown.errors.length > 0) return messageOf(thrown.errors[0]);
  return thrown.message || thrown.name;
}
