import { messageOf } from './message-of.ts';

const NEXT_BY_STATUS: Readonly<Record<number, string>> = {
  401: 'renew the login in the kubeconfig: the API does not take it.',
  403: 'give our ServiceAccount the right that is missing (core/manifests holds the roles).',
  404: 'install our CRDs if the kind itself is unknown to the API: sidero manifests | kubectl apply -f -.',
};

// The device that a power driver talks to, and what is wrong, as a clause without passwords. `until`: it is not asked again before.
type BmcDetails = { server: string; driver: string; device: string; problem: string; until?: string };

/** Core's error table; alphabetical. */
export const coreErrors = {
  SIDERO_ALLOCATE_NONE: {
    message: (d: { claim: string; why: string }) => `No server for MetalMachine ${d.claim}: ${d.why}.`,
    next: (d: { claim: string }) =>
      `see what is wrong with each server: sidero allocate --explain ${d.claim}; one must be accepted, clean, healthy, free and not cordoned.`,
  },
  SIDERO_BMC_AUTH: {
    message: (d: BmcDetails) => `Server ${d.server}: ${d.driver} at ${d.device} refuses the login: ${d.problem}.`,
    next: () =>
      'correct spec.bmc of the Server or the Secret it names; another login is tried at once, the same one every 5 min, so that it does not get locked.',
  },
  SIDERO_BMC_BUSY: {
    message: (d: BmcDetails) => `Server ${d.server}: ${d.driver} at ${d.device} is busy: ${d.problem}.`,
    next: () => 'nothing is to be done at first, it is tried again; if it stays, restart the BMC.',
  },
  SIDERO_BMC_FAULT: {
    message: (d: BmcDetails) => `Server ${d.server}: ${d.driver} at ${d.device} did not do what it was told: ${d.problem}.`,
    next: (d: BmcDetails) => `it is tried again, by the next driver where there is one; see sidero why ${d.server}, and the BMC's own log.`,
  },
  SIDERO_BMC_LOGIN_MISSING: {
    message: (d: { server: string; problem: string }) => `Server ${d.server}: there is no login for its BMC: ${d.problem}.`,
    next: () => 'put user and password into the Secret that spec.bmc names, or name another one; it is read anew each time.',
  },
  SIDERO_BMC_ROTATE_REFUSED: {
    message: (d: { server: string; why: string; next: string }) => `Server ${d.server}: the password of its BMC is not changed: ${d.why}.`,
    next: (d: { next: string }) => `${d.next}.`,
  },
  SIDERO_BMC_SHARED: {
    message: (d: Omit<BmcDetails, 'problem'> & { other: string }) =>
      `Server ${d.server}: nothing was switched: Server ${d.other} names the same device, ${d.driver} at ${d.device}, and it powers one machine only.`,
    next: (d: { server: string; other: string }) =>
      `correct the address of the BMC in the spec of ${d.server} or of ${d.other}, or delete the Server whose machine is gone.`,
  },
  SIDERO_BMC_UNREACHABLE: {
    message: (d: BmcDetails) => `Server ${d.server}: no answer from ${d.driver} at ${d.device}: ${d.problem}.`,
    next: (d: BmcDetails) => `check the endpoint and port in the Server's spec and the network between; then sidero power status ${d.server}.`,
  },
  SIDERO_BMC_UNSUPPORTED: {
    message: (d: BmcDetails) => `Server ${d.server}: ${d.driver} at ${d.device} cannot do that: ${d.problem}.`,
    next: () => 'use another driver for this server (spec.bmc.interface), or do it by hand.',
  },
  SIDERO_BOOT_TOKEN_INVALID: {
    message: (d: { uuid: string; address: string; why: string }) => `Server ${d.uuid}: a call from ${d.address} was refused: ${d.why}.`,
    next: () => 'power-cycle the machine so that it network-boots again; see "Security model" in the README for bootAuth.',
  },
  SIDERO_CLUSTER_CLOSED: {
    message: (d: { verb: string; kind: string }) => `${d.verb} of ${d.kind} after the connection to the cluster was closed.`,
    next: () => 'nothing is to be done when the process is stopping; else let what still works end before the client is closed.',
  },
  SIDERO_CLUSTER_INVALID: {
    message: (d: { context: string; problem: string }) => `The kubeconfig's context "${d.context}" cannot be used: ${d.problem}.`,
    next: () => 'give a kubeconfig whose current context names an https server, with --kubeconfig FILE or KUBECONFIG.',
  },
  SIDERO_CLUSTER_MISSING: {
    message: () => 'No Kubernetes API to work with: no --kubeconfig, no KUBECONFIG, not in a cluster, and no plugin provides one.',
    next: () => 'give --kubeconfig FILE, or add a plugin that brings an API server to the plugins in sidero.config.ts.',
  },
  SIDERO_CONFIG_INVALID: {
    message: (d: { file: string; key: string; problem: string }) => `${d.file}: "${d.key}": ${d.problem}.`,
    next: (d: { file: string; key: string; problem: string }) => `correct "${d.key}" in ${d.file}; \`sidero inspect\` checks it without starting.`,
  },
  SIDERO_CONFIG_MISSING: {
    message: (d: { directory: string }) => `No sidero.config.ts (or .js, .json, .yaml) in ${d.directory} or above it.`,
    next: () => 'write one that exports defineConfig({ endpoint, plugins: [...] }), or give --config FILE.',
  },
  SIDERO_CONFIG_UNREADABLE: {
    message: (d: { file: string; cause?: unknown }) => `${d.file} could not be loaded: ${messageOf(d.cause)}.`,
    next: (d: { file: string; cause?: unknown }) =>
      `correct ${d.file}: TypeScript there may use only syntax that can be erased (no enum), and needs Node 24.12 or newer.`,
  },
  SIDERO_CONVERSION_FAILED: {
    message: (d: { kind: string; name: string; to: string; problem: string }) => `${d.kind} ${d.name} can't be converted to ${d.to}: ${d.problem}.`,
    next: () => 'correct what the message names, or write the object in the version it is stored in.',
  },
  SIDERO_ENDPOINT_MISSING: {
    message: () => 'No endpoint: servers must be told an address at which they reach us.',
    next: () =>
      'set endpoint in sidero.config.ts, or SIDERO_CONTROLLER_MANAGER_API_ENDPOINT, to an IP address of this machine on the provisioning network.',
  },
  SIDERO_ENVIRONMENT_FETCH_FAILED: {
    message: (d: { file: string; url: string; problem: string }) => `${d.file} ${d.problem}.`,
    next: (d: { url: string }) => `correct the Environment, or see that ${d.url || 'its URL'} can be reached from here; it is tried again.`,
  },
  SIDERO_FLAG_UNKNOWN: {
    message: (d: { flag: string; meant: string }) => `There is no flag ${d.flag}.`,
    next: (d: { meant: string }) => `${d.meant || 'see sidero start --help'}; sidero inspect lists the settings of each plugin.`,
  },
  SIDERO_HOOK_FAILED: {
    message: (d: { hook: string; plugin: string; server?: string | undefined; cause?: unknown }) =>
      `Plugin "${d.plugin}" failed in hook "${d.hook}"${d.server ? ` for server ${d.server}` : ''}: ${messageOf(d.cause)}.`,
    next: (d: { hook: string; plugin: string }) =>
      `look at the log of plugin "${d.plugin}"; taking it out of sidero.config.ts takes its tap off "${d.hook}".`,
  },
  SIDERO_HOOK_TIMEOUT: {
    message: (d: { hook: string; plugin: string; server?: string | undefined; timeoutMs: number }) =>
      `Plugin "${d.plugin}" did not settle in hook "${d.hook}"${d.server ? ` for server ${d.server}` : ''} within ${d.timeoutMs} ms.`,
    next: (d: { plugin: string }) => `see what plugin "${d.plugin}" waits for; hookTimeoutMs in sidero.config.ts sets the limit.`,
  },
  SIDERO_INDEX_INVALID: {
    message: (d: { kind: string; index: string; problem: string }) => `Index "${d.index}" of ${d.kind}: ${d.problem}.`,
    next: (d: { kind: string; index: string }) => `declare "${d.index}" once, in setup, with resources.index(${d.kind}Kind, "${d.index}", …).`,
  },
  SIDERO_KUBECONFIG_MISSING: {
    message: (d: { file: string }) => `There is no kubeconfig ${d.file}: no API to talk to.`,
    next: () => 'give --kubeconfig FILE, or --data-dir as the running sidero has it; it writes its kubeconfig there when it brings its own API.',
  },
  SIDERO_LISTEN_FAILED: {
    message: (d: { what: string; address: string; cause?: unknown }) => `${d.what} cannot listen on ${d.address}: ${messageOf(d.cause)}.`,
    next: (d: { what: string; address: string }) =>
      `stop what uses ${d.address} (ss -lntup shows it), or give ${d.what} another port (sidero inspect lists the settings); ports below 1024 need root or CAP_NET_BIND_SERVICE.`,
  },
  SIDERO_OPTION_INVALID: {
    message: (d: { plugin: string; key: string; problem: string; from: string }) =>
      `Plugin "${d.plugin}": option "${d.key}" (from ${d.from}): ${d.problem}.`,
    next: (d: { from: string }) =>
      `correct ${d.from}; \`sidero inspect\` lists the options of each plugin, and the README of a plugin tells of them.`,
  },
  SIDERO_ORIGINAL_LIVE: {
    message: (d: { lease: string; holder: string }) => `The original Sidero is running on this cluster: Lease ${d.lease} is held by ${d.holder}.`,
    next: () => 'scale its Deployments caps-controller-manager and sidero-controller-manager to 0, wait 15 s, and start again.',
  },
  SIDERO_PLUGIN_INVALID: {
    message: (d: { file: string; index: number; problem: string }) => `${d.file}: plugins[${d.index}] ${d.problem}.`,
    next: () => 'write it as a call of what definePlugin returns, e.g. plugins: [agent({ autoAccept: true })].',
  },
  SIDERO_PLUGIN_NAME_INVALID: {
    message: (d: { name: string; problem: string }) => `A plugin cannot be named "${d.name}": ${d.problem}.`,
    next: () => 'give it another name in its definePlugin({ name: "rack-rows", … }); sidero inspect lists those that are taken.',
  },
  SIDERO_PLUGIN_NEW_REFUSED: {
    message: (d: { folder: string; problem: string }) => `No plugin is written to ${d.folder}: ${d.problem}.`,
    next: () => 'name a folder that is not there yet, and with it the plugin: sidero plugin new ../purchase-list.',
  },
  SIDERO_PLUGIN_SETUP_FAILED: {
    message: (d: { plugin: string; cause?: unknown }) => `Plugin "${d.plugin}" failed in its setup: ${messageOf(d.cause)}.`,
    next: () =>
      'setup only registers, at once: what reads, waits or listens belongs into a tap, or into the run of services.add({ name, where, run }).',
  },
  SIDERO_POWER_UNCONFIRMED: {
    message: (d: { server: string; verb: string; why: string }) => `Server ${d.server}: power ${d.verb} is not asked for: ${d.why}.`,
    next: (d: { server: string; verb: string }) => `if it is meant all the same: sidero power ${d.verb} ${d.server} --yes.`,
  },
  SIDERO_POWER_UNMANAGED: {
    message: (d: { server: string; why: string }) => `Server ${d.server}: nobody manages its power: ${d.why}.`,
    next: () => 'give it spec.bmc with a login, or what another power driver needs (sidero inspect lists the drivers); else switch it by hand.',
  },
  SIDERO_REGISTERED_LATE: {
    message: (d: { plugin: string; what: string }) => `Plugin "${d.plugin}" adds to ${d.what} after its setup.`,
    next: (d: { what: string }) => `add it in setup, to the ${d.what} that setup is given: what comes later is neither started nor served.`,
  },
  SIDERO_REGISTRY_CONFLICT: {
    message: (d: { registry: string; name: string; first: string; second: string }) =>
      `Plugins "${d.first}" and "${d.second}" both add "${d.name}" to ${d.registry}.`,
    next: (d: { second: string }) => `take one of them out of sidero.config.ts, or give "${d.second}" another name for it.`,
  },
  SIDERO_REGISTRY_ENTRY_INVALID: {
    message: (d: { plugin: string; registry: string }) => `Plugin "${d.plugin}" adds something without a name to ${d.registry}.`,
    next: (d: { registry: string }) => `give it a name of its own: ${d.registry}.add({ name: '…', … }).`,
  },
  SIDERO_REQUEST_FAILED: {
    message: (d: { server: string; request: string; problem: string }) =>
      `Server ${d.server}: ${d.request} was not done: ${d.problem.replace(/\.$/, '')}.`,
    next: (d: { server: string }) => `correct what the message names and ask again; sidero why ${d.server} tells the rest.`,
  },
  SIDERO_REQUEST_UNANSWERED: {
    message: (d: { server: string; request: string; waitMs: number }) =>
      `Server ${d.server}: ${d.request} was not answered within ${Math.round(d.waitMs / 1000)} s.`,
    next: (d: { server: string }) => `see that sidero runs and leads (its log), and sidero why ${d.server}; --wait gives it more time.`,
  },
  SIDERO_RELEASE_INVALID: {
    message: (d: { release: string }) => `"${d.release}" is no version of a bundle.`,
    next: () => 'give a semantic version that begins with v: --release v0.7.1.',
  },
  SIDERO_RESOURCE_CONFLICT: {
    message: (d: { kind: string; name: string }) => `${d.kind} ${d.name}: changed by someone else at each of our attempts.`,
    next: (d: { kind: string; name: string }) =>
      `nothing was lost, it is tried again; if it stays, look who writes it: kubectl get ${d.kind.toLowerCase()} ${d.name} --show-managed-fields -o yaml.`,
  },
  SIDERO_RESOURCE_EXISTS: {
    message: (d: { kind: string; name: string }) => `${d.kind} ${d.name} exists already.`,
    next: (d: { kind: string; name: string }) => `read it with kubectl get ${d.kind.toLowerCase()} ${d.name} -o yaml, and change it instead.`,
  },
  SIDERO_RESOURCE_FAILED: {
    message: (d: { verb: string; kind: string; name: string; status: number; reason: string }) =>
      `${d.verb} of ${d.kind} ${d.name} was refused by the API (${d.status}): ${d.reason}.`,
    next: (d: { status: number }) => NEXT_BY_STATUS[d.status] ?? 'correct what the message names.',
  },
  SIDERO_RESOURCE_MISSING: {
    message: (d: { kind: string; name: string }) => `${d.kind} ${d.name} does not exist.`,
    next: (d: { kind: string }) => `see what there is: kubectl get ${d.kind.toLowerCase()}.`,
  },
  SIDERO_RESOURCE_UNREACHABLE: {
    message: (d: { verb: string; kind: string; server: string; cause?: unknown }) =>
      `${d.verb} of ${d.kind}: the Kubernetes API at ${d.server} does not answer: ${messageOf(d.cause)}.`,
    next: (d: { server: string }) => `see that ${d.server} is up and reachable from here; we try again by ourselves.`,
  },
  SIDERO_SELECTOR_INVALID: {
    message: (d: { selector: string; problem: string }) => `The label selector "${d.selector}" cannot be read: ${d.problem}.`,
    next: () => 'write it as kubectl takes it: "key=value,other!=x,zone in (a, b),ready,!gone".',
  },
  SIDERO_SERVER_CLASS_INVALID: {
    message: (d: { name: string; problem: string }) => `ServerClass ${d.name} can't be matched with Servers: ${d.problem}.`,
    next: (d: { name: string }) => `correct it: kubectl edit serverclass ${d.name}; until then its status stays as it was.`,
  },
  SIDERO_SERVER_DUPLICATE: {
    message: (d: { uuid: string; problem: string }) => `Server ${d.uuid} was refused: ${d.problem}.`,
    next: (d: { uuid: string }) =>
      `if it is the same machine with new parts: sidero adopt ${d.uuid}; else give each machine an SMBIOS UUID of its own in its firmware.`,
  },
  SIDERO_SERVER_UNKNOWN: {
    message: (d: { name: string; meant: string }) => `There is no Server ${d.name}.`,
    next: (d: { meant: string }) => `${d.meant || 'give the name of one'}; kubectl get servers shows those that are there.`,
  },
  SIDERO_SERVER_UUID_INVALID: {
    message: (d: { uuid: string; problem: string }) => `A machine with the SMBIOS UUID "${d.uuid}" was refused: ${d.problem}.`,
    next: () => 'set a real, unique system UUID in the firmware of that machine (vendor tool or BMC).',
  },
  SIDERO_SETTING_INVALID: {
    message: (d: { variable: string; value: string; expected: string }) => `${d.variable}="${d.value}" is not ${d.expected}.`,
    next: (d: { variable: string }) => `correct or unset ${d.variable}; "-" and empty mean unset.`,
  },
  SIDERO_STAGE_IN_TAP: {
    message: (d: { tap: string; stage: string }) => `The tap of ${d.tap} calls lifecycle.${d.stage}.`,
    next: () => 'return a value from the tap instead; only transports (HTTP, gRPC, controllers) call a stage.',
  },
  SIDERO_WIPE_INCOMPLETE: {
    message: (d: { uuid: string; problems: readonly string[] }) => `Server ${d.uuid} was reported wiped and is not clean: ${d.problems.join('; ')}.`,
    next: (d: { uuid: string }) => `see each disk: kubectl get server ${d.uuid} -o yaml, status.wipe; then sidero wipe ${d.uuid}.`,
  },
  SIDERO_WIPE_NOT_HANDED: {
    message: (d: { uuid: string; why: string }) => `Server ${d.uuid} was reported wiped and is not marked clean: ${d.why}.`,
    next: (d: { uuid: string }) => `let the machine network-boot again; see who talks for it: kubectl describe server ${d.uuid}.`,
  },
  SIDERO_WIPE_UNCONFIRMED: {
    message: (d: { server: string }) => `Server ${d.server} is not wiped: nobody confirmed it.`,
    next: (d: { server: string }) => `see what would be wiped: sidero wipe --plan ${d.server}; --yes confirms without being asked.`,
  },
};
