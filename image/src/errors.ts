import { defineErrors } from '@sidero/core';

/** The error table of the image's builder; alphabetical. */
export const failure = defineErrors({
  SIDERO_IMAGE_AGENT_MISSING: {
    message: (d: { folder: string }) => `There is no agent with its vmlinuz and initramfs.xz in ${d.folder}.`,
    next: () => 'build it in a checkout of Sidero (npm run build:agent), name its folder with --agent, or leave it out with --without-agent.',
  },
  SIDERO_IMAGE_AGENT_UNKNOWN: {
    message: (d: { folder: string }) => `The folder ${d.folder} does not say for which servers its agent is.`,
    next: () => 'call it agent-amd64 or agent-arm64, as npm run build:agent does.',
  },
  SIDERO_IMAGE_COMMAND_FAILED: {
    message: (d: { command: string; problem: string }) => `${d.command}: ${d.problem}.`,
    next: (d: { next: string }) => `${d.next}.`,
  },
  SIDERO_IMAGE_CONFIG_UNREADABLE: {
    message: (d: { file: string; problem: string }) => `The configuration ${d.file} cannot be loaded: ${d.problem}`,
    next: () => 'correct it until sidero inspect takes it.',
  },
  SIDERO_IMAGE_FILE_OUTSIDE: {
    message: (d: { file: string; folder: string }) => `The configuration imports ${d.file}, which is outside of its folder, ${d.folder}.`,
    next: () => 'move the file below the folder of the configuration, or make a package of it that the project depends on.',
  },
  SIDERO_IMAGE_NODE_MISSING: {
    message: (d: { package: string }) => `The package ${d.package}, which has the Node of the image, is not installed.`,
    next: () => 'npm ci, without --omit=optional: @sidero/image brings it along.',
  },
  SIDERO_IMAGE_PACKAGE_ALTERED: {
    message: (d: { name: string; version: string }) => `What the registry has as ${d.name}@${d.version} is not what package-lock.json says.`,
    next: () => 'find out which of both is right: npm audit signatures, and the history of package-lock.json.',
  },
  SIDERO_IMAGE_PACKAGE_MISSING: {
    message: (d: { name: string; by: string }) => `The package ${d.name}, which ${d.by} depends on, is not installed.`,
    next: () => 'npm ci, then try again.',
  },
  SIDERO_IMAGE_PACKAGE_UNBUILT: {
    message: (d: { name: string; missing: string }) => `The package ${d.name} is not built: ${d.missing} is missing.`,
    next: () => 'build it (here: npm run build), then try again.',
  },
  SIDERO_IMAGE_PLATFORM_UNKNOWN: {
    message: (d: { platform: string }) => `No image is built for ${d.platform}.`,
    next: () => 'choose linux/amd64 or linux/arm64.',
  },
});
