import type { BundlePart } from '@sidero/core';

/** The tunnel's port and rights, and the containers that show logs and events of machines. The Secret with the key is among those that core may write. */
export function bundlePart(port: number): BundlePart {
  return {
    name: 'siderolink',
    rules: [
      { apiGroups: ['infrastructure.cluster.x-k8s.io'], resources: ['serverbindings'], verbs: ['get', 'list', 'patch', 'watch'] },
      { apiGroups: ['infrastructure.cluster.x-k8s.io'], resources: ['serverbindings/status'], verbs: ['patch'] },
      { apiGroups: ['infrastructure.cluster.x-k8s.io'], resources: ['metalmachines'], verbs: ['get', 'list', 'watch'] },
      { apiGroups: [''], resources: ['secrets'], verbs: ['create', 'get'] },
    ],
    ports: [
      {
        name: 'siderolink',
        protocol: 'UDP',
        port: `\${SIDERO_CONTROLLER_MANAGER_SIDEROLINK_PORT:=${port}}`,
        service: { name: 'sidero-siderolink' },
      },
    ],
    capabilities: ['NET_ADMIN'],
    devices: ['/dev/net/tun'],
    followers: [
      { name: 'serverlogs', args: ['serverlogs'] },
      { name: 'serverevents', args: ['serverevents'] },
    ],
    sharedFolders: ['stream'],
    // A manager that was killed for its memory has what machines said before.
    keptFolders: ['logs', 'events'],
  };
}
