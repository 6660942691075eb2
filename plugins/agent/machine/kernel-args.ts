/** What the agent is told on the kernel's command line. */
export interface KernelArgs {
  /** MAC address the firmware booted from, lower case with colons; undefined when iPXE sent none that parses. */
  readonly mac: string | undefined;
  /** `host:port` of the management plane. */
  readonly endpoint: string | undefined;
  /** Shown with every call. */
  readonly token: string | undefined;
}

/** Reads `/proc/cmdline`; the first value of a parameter wins. */
export function parseKernelArgs(commandLine: string): KernelArgs {
  const words = commandLine.trim().split(/\s+/);
  const value = (key: string) => words.find((word) => word.startsWith(`${key}=`))?.slice(key.length + 1) || undefined;
  const mac = value('sidero.mac')?.toLowerCase().replaceAll('-', ':');
  return {
    mac: mac && /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/.test(mac) ? mac : undefined,
    endpoint: value('sidero.endpoint'),
    token: value('sidero.token'),
  };
}
