/* SPDX-License-Identifier: MIT */
/*
 * Option ROM that boots a multiboot image from fw_cfg: loads the block that the board has built,
 * writes the memory sizes and the memory map into the information structure, and enters the kernel
 * in protected mode.
 * Source: Multiboot Specification 0.6.96, sections 3.2 and 3.3.
 */
        .include "boot.inc"

product: .asciz "multiboot image"

        .set MAP, 0x8000                /* the memory map while it is being made */
        .set MAP_END, 0x9000            /* as much as the structure has room for */
        .set ENTRY_BYTES, 20
        .set INFO_MEM_LOWER, 4
        .set INFO_MEM_UPPER, 8
        .set INFO_MMAP_LENGTH, 44
        .set INFO_MMAP_ADDR, 48
        .set INFO_MAP_ROOM, 128
        .set MAGIC, 0x2badb002
        .set SMAP, 0x534d4150
        .set GDT_POINTER, SCRATCH
        .set FAR_POINTER, SCRATCH + 8
        .set LOWER, SCRATCH + 16
        .set UPPER, SCRATCH + 20

boot:
        begin
        sti
        load KERNEL_ADDR, KERNEL_SIZE, KERNEL_DATA

        int $0x12                       /* KiB below 640 KiB */
        movzwl %ax, %eax
        movl %eax, LOWER
        xorl %ecx, %ecx
        xorl %edx, %edx
        movw $0xe801, %ax               /* KiB from 1 to 16 MiB, then units of 64 KiB */
        int $0x15
        movzwl %ax, %eax
        movzwl %bx, %ebx
        shll $6, %ebx
        addl %ebx, %eax
        movl %eax, UPPER

        xorl %ebx, %ebx
        movl $MAP, %ebp
1:      leal 4(%ebp), %edi              /* each entry stands behind its size */
        movl $0xe820, %eax
        movl $ENTRY_BYTES, %ecx
        movl $SMAP, %edx
        int $0x15
        jc 2f
        movl $ENTRY_BYTES, (%ebp)
        addl $ENTRY_BYTES + 4, %ebp
        testl %ebx, %ebx
        jz 2f
        cmpl $MAP_END - ENTRY_BYTES - 4, %ebp
        jbe 1b
2:
        movw $INITRD_ADDR, %ax
        call read_number
        movl %eax, %ebx                 /* the information structure */
        movw $KERNEL_ENTRY, %ax
        call read_number
        movl %eax, %edx

        cli
        inb $0x92, %al                  /* A20 */
        orb $2, %al
        andb $~1, %al
        outb %al, $0x92
        xorl %eax, %eax
        movw %cs, %ax
        shll $4, %eax
        leal (gdt - _start)(%eax), %ecx
        movw $gdt_end - gdt - 1, GDT_POINTER
        movl %ecx, GDT_POINTER + 2
        leal (protected - _start)(%eax), %ecx
        movl %ecx, FAR_POINTER
        movw $8, FAR_POINTER + 4
        lgdtl GDT_POINTER
        movl %cr0, %eax
        orb $1, %al
        movl %eax, %cr0
        ljmpl *FAR_POINTER

        .code32
protected:
        movw $16, %ax
        movw %ax, %ds
        movw %ax, %es
        movw %ax, %fs
        movw %ax, %gs
        movw %ax, %ss
        movl LOWER, %eax
        movl %eax, INFO_MEM_LOWER(%ebx)
        movl UPPER, %eax
        movl %eax, INFO_MEM_UPPER(%ebx)
        leal INFO_MAP_ROOM(%ebx), %edi
        movl %edi, INFO_MMAP_ADDR(%ebx)
        movl $MAP, %esi
        movl %ebp, %ecx
        subl %esi, %ecx
        movl %ecx, INFO_MMAP_LENGTH(%ebx)
        rep movsb
        movl $MAGIC, %eax
        jmp *%edx

        .align 8
gdt:    .quad 0
        .quad 0x00cf9b000000ffff        /* code: 0 to 4 GiB */
        .quad 0x00cf93000000ffff        /* data */
gdt_end:

        .byte 0
        .balign 512                     /* the last byte is the checksum */
rom_end:
