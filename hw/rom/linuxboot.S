/* SPDX-License-Identifier: MIT */
/*
 * Option ROM that boots a Linux kernel from fw_cfg: puts setup, command line, kernel and initrd
 * where the board says, and jumps into setup.
 * Source: the Linux/x86 boot protocol, "The real-mode kernel header" and "Running the kernel".
 */
        .include "boot.inc"

product: .asciz "Linux kernel"

boot:
        begin
        sti
        load SETUP_ADDR, SETUP_SIZE, SETUP_DATA
        load CMDLINE_ADDR, CMDLINE_SIZE, CMDLINE_DATA
        load KERNEL_ADDR, KERNEL_SIZE, KERNEL_DATA
        movw $INITRD_SIZE, %ax
        call read_number
        testl %eax, %eax
        jz 1f
        load INITRD_ADDR, INITRD_SIZE, INITRD_DATA
1:
        movw $CMDLINE_ADDR, %ax
        call read_number
        movl %eax, %edx
        movw $SETUP_ADDR, %ax
        call read_number
        subl %eax, %edx                 /* the stack ends below the command line */
        subl $16, %edx
        shrl $4, %eax
        cli
        movw %ax, %ds
        movw %ax, %es
        movw %ax, %fs
        movw %ax, %gs
        movw %ax, %ss
        movl %edx, %esp
        addw $0x20, %ax                 /* setup's code is behind its first sector */
        pushw %ax
        pushw $0
        xorl %eax, %eax
        xorl %ebx, %ebx
        xorl %ecx, %ecx
        xorl %edx, %edx
        xorl %edi, %edi
        lret

        .byte 0
        .balign 512                     /* the last byte is the checksum */
rom_end:
