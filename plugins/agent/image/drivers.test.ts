import { expect, test } from 'vitest';
import { chosenModules, parseDependencies } from './drivers.ts';

const dependencies = parseDependencies(`kernel/drivers/net/ethernet/intel/igb/igb.ko: kernel/drivers/dca/dca.ko kernel/drivers/i2c/i2c-algo-bit.ko
kernel/drivers/dca/dca.ko:
kernel/drivers/i2c/i2c-algo-bit.ko:
kernel/drivers/scsi/megaraid/megaraid_sas.ko: kernel/drivers/scsi/scsi_mod.ko
kernel/drivers/scsi/scsi_mod.ko:
kernel/drivers/scsi/qla2xxx/qla2xxx.ko: kernel/drivers/scsi/scsi_transport_fc.ko
kernel/drivers/scsi/scsi_transport_fc.ko:
kernel/drivers/char/ipmi/ipmi_si.ko: kernel/drivers/char/ipmi/ipmi_msghandler.ko
kernel/drivers/char/ipmi/ipmi_msghandler.ko:
kernel/drivers/media/usb/uvc/uvcvideo.ko:
`);

test('network, storage and IPMI drivers come with what they depend on', () => {
  expect(chosenModules(dependencies)).toEqual([
    'kernel/drivers/char/ipmi/ipmi_msghandler.ko',
    'kernel/drivers/char/ipmi/ipmi_si.ko',
    'kernel/drivers/dca/dca.ko',
    'kernel/drivers/i2c/i2c-algo-bit.ko',
    'kernel/drivers/net/ethernet/intel/igb/igb.ko',
    'kernel/drivers/scsi/megaraid/megaraid_sas.ko',
    'kernel/drivers/scsi/scsi_mod.ko',
  ]);
});

test('shared storage stays out of reach', () => {
  expect(chosenModules(dependencies).filter((path) => /qla2xxx|transport_fc/.test(path))).toEqual([]);
});
