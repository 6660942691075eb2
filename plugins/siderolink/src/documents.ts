import type { ServerBinding, Sidero } from '@sidero/core';
import { addressesFor, type LinkAddresses } from './boot-arguments.ts';
import type { InstallationDesk } from './installation/installation.ts';
import type { SideroLinkOptions } from './plugin.ts';
import { environmentOf } from './provision/own-argument.ts';
import { VERSION_ANNOTATION } from './provision/provision.ts';

/** The first version of Talos that reads a configuration of several documents with these in it. */
const FIRST = { major: 1, minor: 5 };

/** The documents that keep a machine in SideroLink over reboots from its disk, where there are no arguments of a network boot. */
export function documentsOf({ join, kernelLog, events }: LinkAddresses): readonly string[] {
  return [
    `apiVersion: v1alpha1\nkind: SideroLinkConfig\napiUrl: grpc://${join}\n`,
    `apiVersion: v1alpha1\nkind: EventSinkConfig\nendpoint: '${events}'\n`,
    `apiVersion: v1alpha1\nkind: KmsgLogConfig\nname: remote-log\nurl: ${kernelLog}\n`,
  ];
}

/** Whether Talos of that version reads them. What is no version is taken for a new one, as the original takes all. */
export function readsDocuments(version: string): boolean {
  const [, major, minor] = /^v?(\d+)\.(\d+)\b/.exec(version) ?? [];
  if (major === undefined) return true;
  return Number(major) > FIRST.major || (Number(major) === FIRST.major && Number(minor) >= FIRST.minor);
}

/** Adds the documents to the configurations of bound machines, as the option says. */
export function addDocuments(sidero: Sidero, given: { readonly desk: InstallationDesk; readonly options: SideroLinkOptions }): void {
  const { documents: wanted } = given.options;
  if (wanted === 'never') return;
  sidero.hooks.bind.tapPromise('siderolink', async (identity, binding) => {
    if (wanted === 'auto' && !readsDocuments(await versionOf(sidero, binding))) return identity;
    return { ...identity, documents: [...identity.documents, ...documentsOf(await addressesFor(sidero, binding, given))] };
  });
}

/** The version of Talos that the machine told when it joined; before that, the one in the URL of the kernel it boots. Empty: nobody knows. */
async function versionOf({ resources }: Sidero, binding: ServerBinding): Promise<string> {
  const told = binding.metadata.annotations?.[VERSION_ANNOTATION];
  if (told) return told;
  const url = (await environmentOf(resources, binding))?.spec?.kernel?.url ?? '';
  return /\/(v\d+\.\d+\.\d+[^/]*)\//.exec(url)?.[1] ?? '';
}
