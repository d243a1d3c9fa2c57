/* SPDX-License-Identifier: MIT */
/*
 * The SMBus behind the PIIX4's host, with nobody on it: its section, which other emulators have.
 * Source: the wire of QEMU 7.2.  Not modelled: devices.
 */
#include "core/device.h"

enum { ADDRESS_NONE = 0xff };

typedef struct I2cBus {
    Device dev;
    struct I2cBusState {
        uint8_t saved_address; /* of the device in a transfer, where there is one */
    } s;
} I2cBus;

static const VmField i2c_bus_fields[] = { VM_INT(struct I2cBusState, saved_address), VM_END };
static const VmState i2c_bus_vmstate = {
    .name = "i2c_bus", .version = 1, .min_version = 1, .fields = i2c_bus_fields
};

static void i2c_bus_reset(Device *dev) { ((I2cBus *)dev)->s.saved_address = ADDRESS_NONE; }

DEVICE(i2c_bus, "SMBus", I2cBus, .name = "i2c-bus", .vmstates = VMSTATES(&i2c_bus_vmstate),
    .reset = i2c_bus_reset);
