import { mkdir, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Command } from 'commander';
import { dump } from 'js-yaml';
import { bundleFiles, type BundleOptions } from '../bundle/bundle-files.ts';
import { settableVariables } from '../bundle/settable-variables.ts';
import type { SiteOptions } from '../config.ts';
import { failure } from '../errors.ts';
import type { Kernel } from '../kernel.ts';
import { lookAtConfig } from './look-at-config.ts';

/** The release after the original's last one, so that clusterctl takes it for newer. */
const RELEASE = 'v0.7.0';
/** `clusterctl move` looks at no kinds without it; `clusterctl init` gives it to what it installs. */
const MOVABLE = { 'clusterctl.cluster.x-k8s.io': '' };
const PROVIDER = 'infrastructure-sidero';

interface Options {
  readonly bundle?: string;
  readonly release: string;
  readonly image?: string;
}

/** `sidero manifests`: the CustomResourceDefinitions of core and of the plugins in the config, or with `--bundle` all that clusterctl installs. */
export function manifestsCommand(program: Command): void {
  program
    .command('manifests')
    .description('print the CustomResourceDefinitions of core and the configured plugins, as YAML, or write all that clusterctl installs')
    .option('--bundle <directory>', 'write a provider repository for clusterctl there, and print what its configuration needs')
    .option('--release <version>', 'version of the bundle', RELEASE)
    .option('--image <image>', 'container image of the bundle; default: localhost/sidero-metal:VERSION')
    .action(async (options: Options) => {
      const { kernel, config } = await lookAtConfig(program.opts<{ config?: string }>().config);
      if (options.bundle === undefined) return void process.stdout.write(definitions(kernel));
      // clusterctl finds versions by the names of folders.
      if (!/^v\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$/.test(options.release)) throw failure('SIDERO_RELEASE_INVALID', { release: options.release });
      const image = options.image ?? `localhost/sidero-metal:${options.release}`;
      const files = bundleFiles(bundleOf(kernel, { release: options.release, image, site: config.options }));
      process.stdout.write(await writeRelease(files, join(resolve(options.bundle), PROVIDER, options.release)));
    });
}

function definitions(kernel: Kernel): string {
  return publishedKinds(kernel)
    .map(({ definition }) => {
      const { labels, ...metadata } = definition.metadata;
      return dump({ ...definition, metadata: { ...metadata, labels: { ...labels, ...MOVABLE } } });
    })
    .join('---\n');
}

/** Writes the files of a release, and gives what clusterctl's configuration says to find it. */
async function writeRelease(files: Readonly<Record<string, string>>, folder: string): Promise<string> {
  await mkdir(folder, { recursive: true });
  await Promise.all(Object.entries(files).map(([name, text]) => writeFile(join(folder, name), text)));
  const url = pathToFileURL(join(folder, 'infrastructure-components.yaml')).href;
  return dump({ providers: [{ name: 'sidero', type: 'InfrastructureProvider', url }] });
}

/** The bundle of a config: what its plugins need, and no more. */
export function bundleOf(kernel: Kernel, given: { readonly release: string; readonly image: string; readonly site: SiteOptions }): BundleOptions {
  const { release, image, site } = given;
  const ports = { told: site.apiPort, bound: site.httpPort ?? site.apiPort };
  return {
    release,
    image,
    ports,
    kinds: publishedKinds(kernel),
    parts: kernel.tables.bundle.for('core').list(),
    variables: settableVariables(kernel),
  };
}

function publishedKinds(kernel: Kernel) {
  const kinds = kernel.tables.customResources.for('core').list();
  return kinds.filter(({ isEmbeddedOnly }) => !isEmbeddedOnly);
}
