import { agent } from '@sidero/plugin-agent';
import { apiserver } from '@sidero/plugin-apiserver';
import { bootIpxe } from '@sidero/plugin-boot-ipxe';
import { caps } from '@sidero/plugin-caps';
import { ipmi } from '@sidero/plugin-ipmi';
import { managementApi } from '@sidero/plugin-management-api';
import { placement } from '@sidero/plugin-placement';
import { redfish } from '@sidero/plugin-redfish';
import { wakeOnLan } from '@sidero/plugin-wake-on-lan';
import { freePorts } from '@sidero/testing';
import { describeDiskBoot, describePlugin, describeService, registrations } from '@sidero/testing/suites';

const readmeOf = (folder: string) => new URL(`../../plugins/${folder}/README.md`, import.meta.url);

describePlugin('agent', { plugin: agent, options: {}, readme: readmeOf('agent') });
describePlugin('apiserver', { plugin: apiserver, options: {}, readme: readmeOf('apiserver') });
describePlugin('boot-ipxe', { plugin: bootIpxe, options: {}, readme: readmeOf('boot-ipxe') });
describePlugin('caps', { plugin: caps, options: {}, readme: readmeOf('caps') });
describePlugin('ipmi', { plugin: ipmi, options: {}, readme: readmeOf('ipmi') });
describePlugin('management-api', { plugin: managementApi, options: {}, readme: readmeOf('management-api') });
describePlugin('placement', { plugin: placement, options: {}, readme: readmeOf('placement') });
describePlugin('redfish', { plugin: redfish, options: {}, readme: readmeOf('redfish') });
describePlugin('wake-on-lan', { plugin: wakeOnLan, options: {}, readme: readmeOf('wake-on-lan') });

for (const diskBoot of registrations(bootIpxe()).diskBoots) describeDiskBoot(diskBoot.name, diskBoot);

const [tftpPort] = await freePorts(1);
describeService('tftp', () => registrations(bootIpxe({ tftpPort, tftpAddress: '127.0.0.1' })).services.find(({ name }) => name === 'tftp')!);
