import type { HardwareInformation } from '@sidero/core';
import * as wire from './agent_pb.ts';
import { type Border, LIST_LIMIT } from './border.ts';

type Text = Border['text'];

/**
 * The `spec.hardware` of a Server from what a machine told. Empty and zero fields are left out, as the original writes them.
 * Counts are those of the lists: a count that disagrees with its list is the sender's mistake.
 *
 * @throws SIDERO_AGENT_REQUEST_INVALID for absurd counts, sizes and lengths
 */
export function hardwareOf(told: wire.HardwareInformation, check: Border): HardwareInformation {
  const { system, compute, memory, storage, network, firmware, baseboard, bmc } = told;
  return {
    ...(system && { system: systemOf(system, check.text) }),
    ...(compute && { compute: computeOf(compute, check) }),
    ...(memory && { memory: memoryOf(memory, check) }),
    ...(storage && { storage: storageOf(storage, check) }),
    ...(network && { network: networkOf(network, check) }),
    ...(firmware && { firmware: firmwareOf(firmware, check.text) }),
    ...(baseboard && { baseboard: baseboardOf(baseboard, check.text) }),
    ...(bmc && { bmc: bmcOf(bmc, check) }),
  };
}

/** The fields that say something. */
function told<T extends object>(fields: T): Partial<T> {
  const entries = Object.entries(fields).filter(([, value]) => value !== '' && value !== 0 && !(Array.isArray(value) && value.length === 0));
  return Object.fromEntries(entries) as Partial<T>;
}

type Group<K extends keyof HardwareInformation> = NonNullable<HardwareInformation[K]>;

function systemOf(system: wire.SystemInformation, text: Text): Group<'system'> {
  return told({
    uuid: text('system.uuid', system.uuid).toLowerCase(),
    manufacturer: text('system.manufacturer', system.manufacturer),
    productName: text('system.product_name', system.productName),
    version: text('system.version', system.version),
    serialNumber: text('system.serial_number', system.serialNumber),
    skuNumber: text('system.sku_number', system.skuNumber),
    family: text('system.family', system.family),
  });
}

function computeOf(compute: wire.ComputeInformation, check: Border): Group<'compute'> {
  countOf('compute.processor_count', compute.processorCount, check);
  const processors = check.list('compute.processors', compute.processors).map((processor, index) => {
    const field = `compute.processors[${index}]`;
    return told({
      manufacturer: check.text(`${field}.manufacturer`, processor.manufacturer),
      productName: check.text(`${field}.product_name`, processor.productName),
      serialNumber: check.text(`${field}.serial_number`, processor.serialNumber),
      speed: check.whole(`${field}.speed`, processor.speed),
      coreCount: check.whole(`${field}.core_count`, processor.coreCount),
      threadCount: check.whole(`${field}.thread_count`, processor.threadCount),
    });
  });
  return told({
    totalCoreCount: check.whole('compute.total_core_count', compute.totalCoreCount),
    totalThreadCount: check.whole('compute.total_thread_count', compute.totalThreadCount),
    processorCount: processors.length,
    processors,
  });
}

function memoryOf(memory: wire.MemoryInformation, check: Border): Group<'memory'> {
  countOf('memory.module_count', memory.moduleCount, check);
  const modules = check.list('memory.modules', memory.modules).map((module, index) => {
    const field = `memory.modules[${index}]`;
    return told({
      manufacturer: check.text(`${field}.manufacturer`, module.manufacturer),
      productName: check.text(`${field}.product_name`, module.productName),
      serialNumber: check.text(`${field}.serial_number`, module.serialNumber),
      type: check.text(`${field}.type`, module.type),
      size: check.whole(`${field}.size`, module.size),
      speed: check.whole(`${field}.speed`, module.speed),
    });
  });
  const totalMB = check.whole('memory.total_size', memory.totalSize);
  return told({ totalSize: `${Math.floor(totalMB / 1024)} GB`, moduleCount: modules.length, modules });
}

function storageOf(storage: wire.StorageInformation, check: Border): Group<'storage'> {
  countOf('storage.device_count', storage.deviceCount, check);
  const devices = check.list('storage.devices', storage.devices).map((device, index) => {
    const field = `storage.devices[${index}]`;
    return told({
      type: wire.StorageTypeSchema.value[device.type]?.name ?? 'Unknown',
      size: check.bytes(`${field}.size`, device.size),
      productName: check.text(`${field}.model`, device.model),
      serialNumber: check.text(`${field}.serial`, device.serial),
      name: check.text(`${field}.name`, device.name),
      deviceName: check.text(`${field}.device_name`, device.deviceName),
      uuid: check.text(`${field}.uuid`, device.uuid),
      wwid: check.text(`${field}.wwid`, device.wwid),
    });
  });
  const totalBytes = check.bytes('storage.total_size', storage.totalSize);
  return told({ totalSize: `${Math.floor(totalBytes / 1024 ** 3)} GB`, deviceCount: devices.length, devices });
}

function networkOf(network: wire.NetworkInformation, check: Border): Group<'network'> {
  countOf('network.interface_count', network.interfaceCount, check);
  const interfaces = check.list('network.interfaces', network.interfaces).map((link, index) => {
    const field = `network.interfaces[${index}]`;
    return told({
      index: check.whole(`${field}.index`, link.index),
      name: check.text(`${field}.name`, link.name),
      flags: check.text(`${field}.flags`, link.flags),
      mtu: check.whole(`${field}.mtu`, link.mtu),
      mac: check.text(`${field}.mac`, link.mac).toLowerCase(),
      addresses: check.list(`${field}.addresses`, link.addresses).map((address) => check.text(`${field}.addresses`, address)),
      // An agent that names drivers is ours, and its "no carrier" means that; the original's knows nothing of either.
      ...(link.driver !== '' && { carrier: link.carrier }),
      speedMbps: check.whole(`${field}.speed_mbps`, link.speedMbps),
      driver: check.text(`${field}.driver`, link.driver),
    });
  });
  return told({ interfaceCount: interfaces.length, interfaces });
}

function firmwareOf(firmware: wire.FirmwareInformation, text: Text): Group<'firmware'> {
  return told({
    vendor: text('firmware.vendor', firmware.vendor),
    version: text('firmware.version', firmware.version),
    releaseDate: text('firmware.release_date', firmware.releaseDate),
    bootMode: text('firmware.boot_mode', firmware.bootMode),
  });
}

function baseboardOf(baseboard: wire.BaseboardInformation, text: Text): Group<'baseboard'> {
  return told({
    manufacturer: text('baseboard.manufacturer', baseboard.manufacturer),
    productName: text('baseboard.product_name', baseboard.productName),
    serialNumber: text('baseboard.serial_number', baseboard.serialNumber),
  });
}

function bmcOf(bmc: wire.BMCHardware, { text, whole }: Border): Group<'bmc'> {
  return told({
    present: bmc.present,
    ipmiVersion: text('bmc.ipmi_version', bmc.ipmiVersion),
    firmwareVersion: text('bmc.firmware_version', bmc.firmwareVersion),
    manufacturerId: whole('bmc.manufacturer_id', bmc.manufacturerId),
    address: text('bmc.address', bmc.address),
    mac: text('bmc.mac', bmc.mac),
  });
}

function countOf(field: string, count: number, check: Border): void {
  if (count > LIST_LIMIT) throw check.invalid(field, `is ${count}, more than ${LIST_LIMIT}`);
}
