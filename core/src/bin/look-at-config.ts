import { loadConfig, type LoadedConfig } from '../config.ts';
import { createLogger } from '../log.ts';
import { assemble, type Assembled } from '../start.ts';

/** Loads a config (`file`, else the nearest) and sets its plugins up, for looking only: silent, nothing runs, and no endpoint is needed. */
export async function lookAtConfig(file: string | undefined): Promise<Assembled & { readonly config: LoadedConfig }> {
  const config = await loadConfig({ file });
  const options = { ...config.options, endpoint: config.options.endpoint ?? 'localhost' };
  return { config, ...assemble({ config: { ...config, options }, log: createLogger({ level: 'silent' }) }) };
}
