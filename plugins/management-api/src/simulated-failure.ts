/** How often a call fails on purpose; both 0 in earnest. */
export interface FailureOdds {
  /** Probability of a failure that is told. */
  readonly explicitFailure: number;
  /** Probability of a failure that nobody is told of. */
  readonly silentFailure: number;
}

/** What an explicit failure says. */
export const SIMULATED = 'simulated failure from the power management';

/** What becomes of one call: the original's dice. */
export function rollOf({ explicitFailure, silentFailure }: FailureOdds): 'explicit' | 'silent' | 'none' {
  const rolled = Math.random();
  if (rolled < explicitFailure) return 'explicit';
  return rolled < explicitFailure + silentFailure ? 'silent' : 'none';
}
