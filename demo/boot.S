/* SPDX-License-Identifier: MIT */
/*
 * The demo guest's boot sector: loads the sectors behind it to 10000h by the BIOS's extended read,
 * opens A20 and goes to 32-bit protected mode.
 */
	.code16
	.globl	_start
	.set	LOAD_SEG, 0x1000
	.set	SECTORS, 32		/* of demo.S */

_start:	ljmp	$0, $1f
1:	cli
	xorw	%ax, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	movw	$0x7c00, %sp
	sti
	cld
	movw	$packet, %si		/* DL is the drive, as the BIOS gave it */
	movb	$0x42, %ah
	int	$0x13
	jc	failed
	movw	$0x0003, %ax		/* 80x25 text, screen cleared */
	int	$0x10
	movw	$0x2401, %ax
	int	$0x15
	inb	$0x92, %al
	orb	$2, %al
	andb	$0xfe, %al
	outb	%al, $0x92
	cli
	lgdt	gdt_ptr
	movl	%cr0, %eax
	orb	$1, %al
	movl	%eax, %cr0
	ljmp	$8, $protected

failed:	movw	$message, %si
1:	lodsb
	testb	%al, %al
	jz	2f
	movb	$0x0e, %ah
	movw	$7, %bx
	int	$0x10
	jmp	1b
2:	hlt
	jmp	2b

	.code32
protected:
	movl	$16, %eax
	movl	%eax, %ds
	movl	%eax, %es
	movl	%eax, %fs
	movl	%eax, %gs
	movl	%eax, %ss
	movl	$0x90000, %esp
	ljmp	$8, $(LOAD_SEG * 16)

	.balign	8
gdt:	.quad	0
	.quad	0x00cf9a000000ffff	/* 08: flat code */
	.quad	0x00cf92000000ffff	/* 10: flat data */
gdt_ptr:
	.word	. - gdt - 1
	.long	gdt
packet:	.byte	16, 0
	.word	SECTORS, 0, LOAD_SEG
	.quad	1
message:
	.asciz	"demo: the disk cannot be read\r\n"
	.org	510
	.word	0xaa55
