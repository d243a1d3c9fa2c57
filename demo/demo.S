/* SPDX-License-Identifier: MIT */
/*
 * The demo guest, 32-bit, loaded at 10000h by boot.S.
 *
 * It shows what a snapshot has to keep: a tick counter driven by the PIT (memory, timer, interrupt
 * controller), the RTC's time, a running checksum over a megabyte that it keeps rewriting, a boot
 * count on its disk, and a network card's address with the frames sent and received.  The same line
 * goes to the VGA text screen and, ten times a second, to the serial port.
 */
	.set	HZ, 100
	.set	AREA, 0x200000		/* the megabyte that is rewritten */
	.set	AREA_WORDS, 0x40000
	.set	CHUNK_WORDS, 0x800	/* rewritten per tick */
	.set	COUNT_SECTOR, 2047	/* holds the boot count */
	.set	SCREEN, 0xb8000
	.set	COM1, 0x3f8
	.set	TX_PAGE, 0x40
	.set	RX_PAGE, 0x46
	.set	RX_END, 0x80

	.code32
	.globl	_start
_start:	cld
	call	serial_init
	call	interrupts_init
	call	area_init
	call	disk_count
	call	nic_init
	movl	$text_head, %esi
	xorl	%edi, %edi		/* row 0 */
	call	screen_text
	movl	$text_head, %esi
	call	serial_text
	movl	$text_help, %esi
	movl	$160 * 14, %edi
	call	screen_text
	movl	$text_help, %esi
	call	serial_text
	sti

/* Each tick, none left out: rewrite a chunk, look at the network; every tenth: show; every
 * hundredth: verify, send. */
main:	movl	seen, %eax
	cmpl	ticks, %eax
	jne	1f
	hlt
	jmp	main
1:	incl	seen
	call	area_rewrite
	call	nic_poll
	movl	seen, %eax
	xorl	%edx, %edx
	movl	$HZ / 10, %ecx
	divl	%ecx
	testl	%edx, %edx
	jnz	main
	call	show
	movl	seen, %eax
	xorl	%edx, %edx
	movl	$HZ, %ecx
	divl	%ecx
	testl	%edx, %edx
	jnz	main
	call	area_verify
	call	nic_send
	jmp	main

/* -- interrupts: PIC at 20h and 28h, PIT at HZ, everything else masked -- */

interrupts_init:
	movl	$idt, %edi
	movl	$256, %ecx
	movl	$other_irq, %eax
1:	call	idt_put
	loop	1b
	movl	$idt + 0x20 * 8, %edi
	movl	$timer_irq, %eax
	call	idt_put
	lidt	idt_ptr
	movb	$0x11, %al
	outb	%al, $0x20
	outb	%al, $0xa0
	movb	$0x20, %al
	outb	%al, $0x21
	movb	$0x28, %al
	outb	%al, $0xa1
	movb	$4, %al
	outb	%al, $0x21
	movb	$2, %al
	outb	%al, $0xa1
	movb	$1, %al
	outb	%al, $0x21
	outb	%al, $0xa1
	movb	$0xfe, %al
	outb	%al, $0x21
	movb	$0xff, %al
	outb	%al, $0xa1
	movb	$0x34, %al		/* channel 0, both bytes, mode 2 */
	outb	%al, $0x43
	movl	$1193182 / HZ, %eax
	outb	%al, $0x40
	movb	%ah, %al
	outb	%al, $0x40
	ret

/* An interrupt gate to EAX at EDI, which moves on. */
idt_put:
	movl	%eax, %edx
	movw	%dx, (%edi)
	movw	$8, 2(%edi)
	movw	$0x8e00, 4(%edi)
	shrl	$16, %edx
	movw	%dx, 6(%edi)
	addl	$8, %edi
	ret

timer_irq:
	incl	ticks
other_irq:
	pushl	%eax
	movb	$0x20, %al
	outb	%al, $0x20
	popl	%eax
	iret

/* -- the megabyte: filled by a generator; its sum is kept as words change -- */

/* EAX: the generator's next value (xorshift); EDX is lost. */
random:	movl	generator, %eax
	movl	%eax, %edx
	shll	$13, %edx
	xorl	%edx, %eax
	movl	%eax, %edx
	shrl	$17, %edx
	xorl	%edx, %eax
	movl	%eax, %edx
	shll	$5, %edx
	xorl	%edx, %eax
	movl	%eax, generator
	ret

area_init:
	movl	$AREA, %edi
	movl	$AREA_WORDS, %ecx
1:	call	random
	addl	%eax, checksum
	stosl
	loop	1b
	ret

area_rewrite:
	movl	$CHUNK_WORDS, %ecx
	movl	area_next, %ebx
1:	call	random
	movl	AREA(, %ebx, 4), %edx
	movl	%eax, AREA(, %ebx, 4)
	subl	%edx, %eax
	addl	%eax, checksum
	incl	%ebx
	andl	$AREA_WORDS - 1, %ebx
	loop	1b
	movl	%ebx, area_next
	ret

/* Adds the whole area up anew: "ok" where the sum is the one that was kept. */
area_verify:
	movl	$AREA, %esi
	movl	$AREA_WORDS, %ecx
	xorl	%ebx, %ebx
1:	lodsl
	addl	%eax, %ebx
	loop	1b
	cmpl	checksum, %ebx
	je	2f
	movl	$0x20444142, line_verified	/* "BAD " */
2:	ret

/* -- disk: primary master, PIO, one sector -- */

disk_wait:
	movw	$0x1f7, %dx
1:	inb	%dx, %al
	testb	$0x80, %al
	jnz	1b
	ret

/* AL: the command. */
disk_command:
	pushl	%eax
	movw	$0x1f6, %dx
	movb	$0xe0, %al
	outb	%al, %dx
	call	disk_wait
	movw	$0x1f2, %dx
	movb	$1, %al
	outb	%al, %dx
	incl	%edx
	movb	$COUNT_SECTOR & 0xff, %al
	outb	%al, %dx
	incl	%edx
	movb	$COUNT_SECTOR >> 8, %al
	outb	%al, %dx
	incl	%edx
	xorl	%eax, %eax
	outb	%al, %dx
	popl	%eax
	movw	$0x1f7, %dx
	outb	%al, %dx
	jmp	disk_wait

disk_count:
	movw	$0x3f6, %dx		/* no interrupts: this is polled */
	movb	$2, %al
	outb	%al, %dx
	movb	$0x20, %al
	call	disk_command
	testb	$1, %al
	jnz	1f
	movl	$sector, %edi
	movl	$256, %ecx
	movw	$0x1f0, %dx
	rep insw
	incl	sector
	movb	$0x30, %al
	call	disk_command
	movl	$sector, %esi
	movl	$256, %ecx
	movw	$0x1f0, %dx
	rep outsw
	call	disk_wait
	movb	$0xe7, %al		/* flush the cache */
	call	disk_command
1:	ret

/* -- network card: NE2000, on PCI or at 300h -- */

/* EAX: the configuration doubleword whose address is in EAX. */
pci_read:
	movw	$0xcf8, %dx
	outl	%eax, %dx
	movw	$0xcfc, %dx
	inl	%dx, %eax
	ret

nic_find:
	movl	$0x80000000, %ebx
1:	movl	%ebx, %eax
	call	pci_read
	cmpl	$0x802910ec, %eax
	je	2f
	addl	$0x800, %ebx
	cmpl	$0x80010000, %ebx
	jb	1b
	movw	$0x300, nic
	ret
2:	leal	0x10(%ebx), %eax
	call	pci_read
	andw	$0xfffc, %ax
	movw	%ax, nic
	ret

/* Writes byte AH to the card's register AL. */
nic_out:
	movzbl	%al, %edx
	addw	nic, %dx
	movb	%ah, %al
	outb	%al, %dx
	ret

/* AL: the card's register AL. */
nic_in:	movzbl	%al, %edx
	addw	nic, %dx
	inb	%dx, %al
	ret

/* Sets remote DMA to address BX, CX bytes, and starts it with command AH. */
nic_dma:
	pushl	%eax
	movb	$8, %al
	movb	%bl, %ah
	call	nic_out
	movb	$9, %al
	movb	%bh, %ah
	call	nic_out
	movb	$10, %al
	movb	%cl, %ah
	call	nic_out
	movb	$11, %al
	movb	%ch, %ah
	call	nic_out
	popl	%eax
	xorb	%al, %al
	call	nic_out
	movw	nic, %dx
	addw	$0x10, %dx
	ret

nic_init:
	call	nic_find
	movb	$0x1f, %al		/* reset */
	call	nic_in
	movb	$0x1f, %al
	movb	$0, %ah
	call	nic_out
	movl	$nic_setup, %esi
1:	lodsw
	cmpb	$0xff, %al
	je	2f
	call	nic_out
	jmp	1b
2:	movw	nic, %dx
	inb	%dx, %al
	cmpb	$0xff, %al		/* nobody there */
	jne	3f
	movw	$0, nic
	ret
3:	xorl	%ebx, %ebx		/* the address PROM: every byte twice */
	movl	$32, %ecx
	movb	$0x0a, %ah
	call	nic_dma
	movl	$mac, %edi
	movl	$6, %ecx
4:	inw	%dx, %ax
	stosb
	loop	4b
	movl	$26, %ecx
5:	inb	%dx, %al
	loop	5b
	movw	$0x6100, %ax		/* page 1: own address, next page to fill */
	call	nic_out
	movl	$mac, %esi
	movl	$1, %ecx
6:	lodsb
	movb	%al, %ah
	movb	%cl, %al
	call	nic_out
	incl	%ecx
	cmpl	$7, %ecx
	jb	6b
	movb	$7, %al
	movb	$RX_PAGE + 1, %ah
	call	nic_out
	movw	$0x2200, %ax		/* page 0, start */
	call	nic_out
	movl	$mac, %esi
	movl	$frame + 6, %edi
	movl	$6, %ecx
	rep movsb
	movl	$mac, %esi
	movl	$frame + 22, %edi
	movl	$6, %ecx
	rep movsb
	ret

/* Asks who has 10.0.2.2, the host's end of user networking; it answers. */
nic_send:
	cmpw	$0, nic
	je	1f
	movl	$TX_PAGE << 8, %ebx
	movl	$60, %ecx
	movb	$0x12, %ah
	call	nic_dma
	movl	$frame, %esi
	movl	$30, %ecx
	rep outsw
	movw	$TX_PAGE << 8 | 4, %ax
	call	nic_out
	movw	$60 << 8 | 5, %ax
	call	nic_out
	movw	$6, %ax
	call	nic_out
	movw	$0x2600, %ax		/* transmit */
	call	nic_out
	incl	sent
1:	ret

/* Takes frames out of the ring: only their headers are read. */
nic_poll:
	cmpw	$0, nic
	je	2f
1:	movw	$0x6200, %ax
	call	nic_out
	movb	$7, %al
	call	nic_in
	movb	%al, ring_fill
	movw	$0x2200, %ax
	call	nic_out
	movb	ring_next, %bh
	cmpb	ring_fill, %bh
	je	2f
	xorb	%bl, %bl
	movl	$4, %ecx
	movb	$0x0a, %ah
	call	nic_dma
	inw	%dx, %ax
	movb	%ah, ring_next		/* the header's second byte: where the next frame is */
	inw	%dx, %ax
	incl	received
	movb	ring_next, %ah		/* the boundary stays one page behind */
	decb	%ah
	cmpb	$RX_PAGE, %ah
	jae	3f
	movb	$RX_END - 1, %ah
3:	movb	$3, %al
	call	nic_out
	jmp	1b
2:	ret

/* -- output -- */

serial_init:
	movl	$serial_setup, %esi
1:	lodsw
	cmpb	$0xff, %al
	je	2f
	movzbl	%al, %edx
	addl	$COM1, %edx
	movb	%ah, %al
	outb	%al, %dx
	jmp	1b
2:	ret

/* Sends AL. */
serial_put:
	pushl	%edx
	pushl	%eax
	movw	$COM1 + 5, %dx
1:	inb	%dx, %al
	testb	$0x20, %al
	jz	1b
	popl	%eax
	movw	$COM1, %dx
	outb	%al, %dx
	popl	%edx
	ret

serial_text:
	lodsb
	testb	%al, %al
	jz	2f
	cmpb	$'\n', %al
	jne	1f
	movb	$'\r', %al
	call	serial_put
	movb	$'\n', %al
1:	call	serial_put
	jmp	serial_text
2:	ret

/* ESI: text; EDI: offset in the screen, moved on.  A newline goes to the next row. */
screen_text:
	lodsb
	testb	%al, %al
	jz	3f
	cmpb	$'\n', %al
	je	1f
	movb	$0x1f, %ah
	movw	%ax, SCREEN(%edi)
	addl	$2, %edi
	jmp	screen_text
1:	movl	%edi, %eax
	xorl	%edx, %edx
	movl	$160, %ecx
	divl	%ecx
	incl	%eax
	imull	$160, %eax, %edi
	jmp	screen_text
3:	ret

/* Puts EAX in decimal at EDI, ECX digits. */
put_decimal:
	leal	(%edi, %ecx), %ebp
	pushl	%ebp
	movl	$10, %ebx
1:	xorl	%edx, %edx
	divl	%ebx
	addb	$'0', %dl
	decl	%ebp
	movb	%dl, (%ebp)
	loop	1b
	popl	%edi
	ret

/* Puts EAX in hexadecimal at EDI, ECX digits. */
put_hex:
	leal	(%edi, %ecx), %ebp
	pushl	%ebp
1:	movl	%eax, %edx
	andl	$15, %edx
	movb	hex_digits(%edx), %dl
	decl	%ebp
	movb	%dl, (%ebp)
	shrl	$4, %eax
	loop	1b
	popl	%edi
	ret

/* Puts CMOS register AL, which is BCD. */
put_cmos:
	outb	%al, $0x70
	inb	$0x71, %al
	movzbl	%al, %eax
	movl	$2, %ecx
	jmp	put_hex

show:	movl	seen, %eax
	movl	$line_ticks, %edi
	movl	$8, %ecx
	call	put_decimal
1:	movb	$10, %al		/* not while the RTC is updating */
	outb	%al, $0x70
	inb	$0x71, %al
	testb	$0x80, %al
	jnz	1b
	movl	$line_time, %edi
	movb	$4, %al
	call	put_cmos
	incl	%edi
	movb	$2, %al
	call	put_cmos
	incl	%edi
	movb	$0, %al
	call	put_cmos
	movl	checksum, %eax
	movl	$line_sum, %edi
	movl	$8, %ecx
	call	put_hex
	movl	sector, %eax
	movl	$line_boots, %edi
	movl	$4, %ecx
	call	put_decimal
	movl	sent, %eax
	movl	$line_sent, %edi
	movl	$5, %ecx
	call	put_decimal
	movl	received, %eax
	movl	$line_received, %edi
	movl	$5, %ecx
	call	put_decimal
	movl	$mac, %esi
	movl	$line_mac, %edi
2:	lodsb
	movzbl	%al, %eax
	movl	$2, %ecx
	pushl	%esi
	call	put_hex
	popl	%esi
	incl	%edi
	cmpl	$mac + 6, %esi
	jb	2b
	movl	$line, %esi
	movl	$160 * 3, %edi
	call	screen_text

/* The screen's rows as one serial line. */
	movl	$line, %esi
1:	lodsb
	testb	%al, %al
	jz	3f
	cmpb	$'\n', %al
	jne	2f
	movb	$' ', %al
2:	call	serial_put
	jmp	1b
3:	movl	$line_serial, %esi
	jmp	serial_text

/* -- data -- */

	.balign	8
idt_ptr:
	.word	256 * 8 - 1
	.long	idt
generator:
	.long	20260101
checksum:
	.long	0
area_next:
	.long	0
ticks:	.long	0
seen:	.long	0
sent:	.long	0
received:
	.long	0
nic:	.word	0
mac:	.byte	0, 0, 0, 0, 0, 0
ring_next:
	.byte	RX_PAGE + 1
ring_fill:
	.byte	0
hex_digits:
	.ascii	"0123456789abcdef"

/* Register and value: 8 data bits, 115200 baud, FIFOs on. */
serial_setup:
	.byte	3, 0x80, 0, 1, 1, 0, 3, 0x03, 2, 0x07, 4, 0x03, 1, 0
	.byte	0xff, 0xff
nic_setup:
	.byte	0x00, 0x21		/* page 0, stop */
	.byte	0x0e, 0x49		/* words, FIFO threshold */
	.byte	0x0a, 0, 0x0b, 0
	.byte	0x0c, 0x04		/* accept broadcasts */
	.byte	0x0d, 0x00
	.byte	0x04, TX_PAGE
	.byte	0x01, RX_PAGE
	.byte	0x02, RX_END
	.byte	0x03, RX_PAGE
	.byte	0x07, 0xff		/* no interrupt is pending */
	.byte	0x0f, 0x00		/* nor wanted */
	.byte	0x00, 0x22		/* start */
	.byte	0xff, 0xff

/* ARP request: who has 10.0.2.2, tell 10.0.2.15. */
frame:	.fill	6, 1, 0xff
	.fill	6, 1, 0
	.byte	0x08, 0x06, 0x00, 0x01, 0x08, 0x00, 6, 4, 0, 1
	.fill	6, 1, 0
	.byte	10, 0, 2, 15
	.fill	6, 1, 0
	.byte	10, 0, 2, 2
	.fill	18, 1, 0

text_head:
	.ascii	"Stasis demo: everything below is state that a snapshot keeps.\n"
	.asciz	"\n"
text_help:
	.ascii	"In the monitor type:\n"
	.ascii	"  savevm here      take a snapshot\n"
	.ascii	"  loadvm here      ticks and checksum jump back, and run on\n"
	.ascii	"  info snapshots   list them\n"
	.asciz	"  quit             leave\n"

line:	.ascii	"ticks     "
line_ticks:
	.ascii	"00000000\n"
	.ascii	"time      "
line_time:
	.ascii	"00:00:00\n"
	.ascii	"checksum  "
line_sum:
	.ascii	"00000000 "
line_verified:
	.ascii	"ok  \n"
	.ascii	"boots     "
line_boots:
	.ascii	"0000\n"
	.ascii	"nic       "
line_mac:
	.ascii	"00:00:00:00:00:00\n"
	.ascii	"sent      "
line_sent:
	.ascii	"00000\n"
	.ascii	"received  "
line_received:
	.asciz	"00000"
line_serial:
	.asciz	"\n"

	.bss
	.balign	8
idt:	.skip	256 * 8
sector:	.skip	512
