import * as z from 'zod';
import { failure, type SideroError } from '../errors.ts';
import { noSuch } from './nearest.ts';

/** What is wrong with the options of a plugin; `fromVariables` are the variables that set some of them, by option. */
export function optionFailure(
  plugin: { name: string; options: z.ZodType },
  error: z.ZodError,
  fromVariables: ReadonlyMap<string, string>,
): SideroError {
  const [issue] = error.issues;
  const unknown = issue?.code === 'unrecognized_keys' ? issue.keys[0] : undefined;
  const names = issue?.path.length === 0 && plugin.options instanceof z.ZodObject ? Object.keys(plugin.options.shape) : [];
  return failure('SIDERO_OPTION_INVALID', {
    plugin: plugin.name,
    key: [...(issue?.path ?? []), ...(unknown ? [unknown] : [])].join('.') || '(all)',
    problem: unknown ? noSuch('option', unknown, names) : (issue?.message ?? error.message),
    from: fromVariables.get(String(issue?.path[0])) ?? 'the config file',
  });
}
