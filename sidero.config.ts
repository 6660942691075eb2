import { defineConfig } from '@sidero/core';
import { agent } from '@sidero/plugin-agent';
import { apiserver } from '@sidero/plugin-apiserver';
import { bootIpxe } from '@sidero/plugin-boot-ipxe';
import { caps } from '@sidero/plugin-caps';
import { ipmi } from '@sidero/plugin-ipmi';
import { managementApi } from '@sidero/plugin-management-api';
import { placement } from '@sidero/plugin-placement';
import { redfish } from '@sidero/plugin-redfish';
import { siderolink } from '@sidero/plugin-siderolink';
import { wakeOnLan } from '@sidero/plugin-wake-on-lan';

export default defineConfig({
  // The address at which servers reach us; every PXE script carries it. Or set SIDERO_CONTROLLER_MANAGER_API_ENDPOINT.
  endpoint: '127.0.0.1',
  plugins: [
    // The API when there is no cluster; with --kubeconfig, KUBECONFIG or in a cluster it stays off.
    apiserver(),
    // No DHCP unless interfaces are named: dhcp: [{ interface: 'eth1', mode: 'proxy' }].
    bootIpxe(),
    agent({ autoAccept: false }),
    // Drivers of power are tried in this order: Redfish where spec.bmc.interface is redfish, IPMI for every other BMC.
    redfish(),
    ipmi(),
    managementApi(),
    wakeOnLan(),
    caps(),
    // Which of the servers that fit a machine gets: spread over failure domains, and the same again after a rollout.
    placement(),
    // Kernel logs and Talos' events of every machine, through a tunnel. Without the rights for one, all else goes on.
    siderolink(),
  ],
});
