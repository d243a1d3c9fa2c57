; SPDX-License-Identifier: MIT
; A guest that is nothing but awkward moments, as a 64 KiB ROM in place of the firmware: it is always
; in the midst of a string instruction, behind an STI, with half a sector read, a transfer under way,
; half a counter written or a dirty x87.  Every tenth round it says its number on COM1, and what it
; has counted is in memory below 0600h, so that nothing that went wrong stays unseen.
; Assembled with nasm: -f bin.
bits 16
org 0
%define COUNTS 0x500
%define PRD 0x8000
%define BM 0xc000

start:
    cli
    cld
    xor ax, ax
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov sp, 0x7000
    mov di, ax              ; every vector, then those that matter
    mov cx, 256
.ivt:
    mov ax, isr_other
    stosw
    mov ax, 0xf000
    stosw
    loop .ivt
    mov word [8*4], isr_pit
    mov word [0x70*4], isr_rtc
    mov word [0x76*4], isr_ide
    mov di, COUNTS
    mov cx, 0x80
    xor ax, ax
    rep stosw
    mov ax, 0x1000          ; a pattern to copy about, of little entropy: recordings stay small
    mov es, ax
    xor di, di
    mov eax, 0x12345678
    mov cx, 0x4000
.fill:
    imul eax, eax, 69069
    inc eax
    mov ebx, eax
    and eax, 0x10101010
    stosd
    mov eax, ebx
    loop .fill
    call pic
    call timers
    call pci
    call big_fs
    fninit
    mov dx, 0x3fb           ; 115200 8N1
    mov al, 0x83
    out dx, al
    mov dx, 0x3f8
    mov al, 1
    out dx, al
    inc dx
    mov al, 0
    out dx, al
    mov dx, 0x3fb
    mov al, 3
    out dx, al
    sti

round:
    inc dword [COUNTS]
    call strings
    call shadows
    call maths
    call sector_read
    call sector_write
    call dma
    call counters
    call clock
    call say
    jmp round

; -- set-up --

pic:
    mov al, 0x11
    out 0x20, al
    out 0xa0, al
    mov al, 8
    out 0x21, al
    mov al, 0x70
    out 0xa1, al
    mov al, 4
    out 0x21, al
    mov al, 2
    out 0xa1, al
    mov al, 1
    out 0x21, al
    out 0xa1, al
    mov al, 0xfa            ; IRQ 0 and the cascade
    out 0x21, al
    mov al, 0xbe            ; IRQ 8 and 14
    out 0xa1, al
    ret

timers:
    mov al, 0x34            ; channel 0, mode 2
    out 0x43, al
    mov al, 0x51
    out 0x40, al
    mov al, 0x01
    out 0x40, al
    mov al, 0x0a            ; 8192 Hz
    out 0x70, al
    mov al, 0x23
    out 0x71, al
    mov al, 0x0b            ; periodic, alarm and update interrupts, binary
    out 0x70, al
    mov al, 0x76
    out 0x71, al
    mov bl, 1
.alarm:                     ; at every second
    mov al, bl
    out 0x70, al
    mov al, 0xc0
    out 0x71, al
    add bl, 2
    cmp bl, 7
    jb .alarm
    ret

; PIIX3 IDE at 0:1.1: its bus master at C000h.
pci:
    mov eax, 0x80000920
    mov dx, 0xcf8
    out dx, eax
    mov eax, BM | 1
    mov dx, 0xcfc
    out dx, eax
    mov eax, 0x80000904
    mov dx, 0xcf8
    out dx, eax
    mov ax, 5
    mov dx, 0xcfc
    out dx, ax
    mov eax, 0x80000940     ; both channels decode
    mov dx, 0xcf8
    out dx, eax
    mov eax, 0x80008000
    mov dx, 0xcfc
    out dx, eax
    ret

; FS keeps a limit of 4 GiB from a moment in protected mode.
big_fs:
    o32 lgdt [cs:gdtr]
    mov eax, cr0
    or al, 1
    mov cr0, eax
    mov bx, 8
    mov fs, bx
    and al, 0xfe
    mov cr0, eax
    jmp 0xf000:.real
.real:
    ret
align 8
gdt:
    dq 0, 0x00cf92000000ffff
gdtr:
    dw 15
    dd 0xf0000 + gdt

; -- interrupts --

isr_other:
    inc dword [cs:0]        ; ROM: no more than a write that is lost
    iret
isr_pit:
    push ax
    inc dword [ss:COUNTS+4]
    mov al, 0x20
    out 0x20, al
    pop ax
    iret
isr_rtc:
    push ax
    inc dword [ss:COUNTS+8]
    mov al, 0x0c
    out 0x70, al
    in al, 0x71
    mov ah, 0
    add [ss:COUNTS+12], ax
    mov al, 0x20
    out 0xa0, al
    out 0x20, al
    pop ax
    iret
isr_ide:
    push ax
    push dx
    inc dword [ss:COUNTS+16]
    mov dx, 0x1f7
    in al, dx
    mov ah, al
    mov dx, BM + 2
    in al, dx
    add [ss:COUNTS+20], ax
    mov al, 4               ; interrupt seen
    out dx, al
    mov al, 0x20
    out 0xa0, al
    out 0x20, al
    pop dx
    pop ax
    iret

; -- strings: interrupted in their midst more often than not --

strings:
    push ds
    mov ax, 0x1000
    mov ds, ax
    mov ax, 0x2000
    mov es, ax
    xor si, si
    xor di, di
    mov cx, 0x3000
    rep movsb
    mov cx, 0x1003
    rep movsw
    mov cx, 0x0801
    rep movsd
    xor si, si
    xor di, di
    mov cx, 0x2fff
    repe cmpsb
    mov [ss:COUNTS+24], cx
    mov di, 0x3000
    mov al, 0x5a
    mov cx, 0x2000
    repne scasb
    mov [ss:COUNTS+26], di
    std
    mov di, 0x7ffc
    mov cx, 0x0400
    mov eax, [ss:COUNTS]
    rep stosd
    cld
    mov esi, 0x10000        ; with 32-bit addresses, through the large segment
    mov edi, 0x6000
    mov ecx, 0x900
    a32 fs rep movsd
    pop ds
    ret

; -- interrupts held off for one instruction, and halts --

shadows:
    mov cx, 40
.next:
    cli
    mov bx, 300
.wait:
    dec bx
    jnz .wait
    sti
    nop
    cli
    inc word [COUNTS+28]
    mov ax, ss
    sti
    mov ss, ax
    mov sp, sp
    pushf
    cli
    popf
    sti
    cli
    mov bx, 100
.wait2:
    dec bx
    jnz .wait2
    sti
    hlt
    loop .next
    ret

; -- x87: never empty, never clean --

maths:
    fldpi
    fild dword [COUNTS]
    fmul st1
    fsincos
    faddp st2, st0
    fldz
    fdivr st0, st1          ; by zero: an infinity, and a flag that stays
    fistp qword [COUNTS+32]
    fyl2x
    fstp tword [COUNTS+40]
    fld qword [cs:tiny]
    fmul st0, st0           ; denormal
    fnstenv [COUNTS+64]
    fldcw [cs:masked]
    fldenv [COUNTS+64]
    fldcw [cs:masked]
    fxch st1
    ffree st3
    test byte [COUNTS], 7
    jnz .keep
    fnsave [0x600]
    frstor [0x600]
    fninit
.keep:
    ret
masked: dw 0x077f
tiny: dq 0x0010000000000001

; -- the disk --

; A command in AL for sector ECX & 1023, BL sectors.
command:
    push ax
    mov dx, 0x1f6
    mov al, 0xe0
    out dx, al
    mov dx, 0x1f2
    mov al, bl
    out dx, al
    inc dx
    mov al, cl
    out dx, al
    inc dx
    mov al, ch
    and al, 3
    out dx, al
    inc dx
    xor al, al
    out dx, al
    mov dx, 0x1f7
    pop ax
    out dx, al
    ret
ready:
    mov dx, 0x1f7
.busy:
    in al, dx
    test al, 0x80
    jnz .busy
    ret
pause:
    mov bp, 400
.more:
    in al, 0x40             ; an odd number of reads: the halves of a counter change places
    dec bp
    jnz .more
    in al, 0x40
    ret

sector_read:
    mov ecx, [COUNTS]
    mov bl, 2
    mov al, 0x20
    call command
    mov ax, 0x3000
    mov es, ax
    xor di, di
    mov cx, 2
.sector:
    push cx
    call ready
    mov dx, 0x1f0
    mov cx, 100
    rep insw
    push dx
    call pause
    pop dx
    mov cx, 156
    rep insw
    pop cx
    loop .sector
    ret

sector_write:
    mov ecx, [COUNTS]
    imul ecx, ecx, 77
    mov bl, 1
    mov al, 0x30
    call command
    call ready
    push ds
    mov ax, 0x1000
    mov ds, ax
    mov si, [ss:COUNTS]
    and si, 0x0fff
    mov dx, 0x1f0
    mov cx, 33
    rep outsw
    push dx
    call pause
    pop dx
    mov cx, 223
    rep outsw
    pop ds
    call ready
    ret

; Eight sectors by bus master to two places, with work meanwhile.
dma:
    mov dword [PRD], 0x40000
    mov dword [PRD+4], 0x00000400
    mov dword [PRD+8], 0x50000
    mov dword [PRD+12], 0x80000c00
    mov dx, BM + 4
    mov eax, PRD
    out dx, eax
    mov dx, BM
    mov al, 8
    out dx, al
    mov dx, BM + 2
    mov al, 6
    out dx, al
    mov ecx, [COUNTS]
    mov bl, 8
    mov al, 0xc8
    call command
    mov dx, BM
    mov al, 9
    out dx, al
    call strings
    mov dx, BM + 2
.active:
    in al, dx
    test al, 1
    jnz .active
    mov dx, BM
    mov al, 0
    out dx, al
    call ready
    ret

; -- the counters' halves, latches and modes --

counters:
    mov al, 0xb0            ; channel 2, mode 0: first half ...
    out 0x43, al
    mov al, 0x34
    out 0x42, al
    in al, 0x61
    xor al, 1
    out 0x61, al
    call pause
    mov al, 0x12            ; ... and second
    out 0x42, al
    mov al, 0x80            ; latched, read by halves
    out 0x43, al
    in al, 0x42
    mov ah, al
    call pause
    mov al, 0xd8            ; status and count of channel 2
    out 0x43, al
    in al, 0x42
    add [COUNTS+56], ax
    test byte [COUNTS], 3
    jnz .same
    mov al, [COUNTS]        ; modes 0 to 5 of channel 0 in turn, then mode 2 again
    shr al, 2
    and al, 3
    shl al, 1
    or al, 0x30
    out 0x43, al
    mov al, 0x77
    out 0x40, al
    mov al, 0
    out 0x40, al
    call pause
    mov al, 0x34
    out 0x43, al
    mov al, 0x51
    out 0x40, al
    mov al, 0x01
    out 0x40, al
.same:
    ret

; -- the clock: an index without its access, and the update's last moments --

clock:
    mov al, 0
    out 0x70, al
    call pause
    cli                     ; the interrupt uses the same index
    mov al, 0
    out 0x70, al
    in al, 0x71
    add [COUNTS+58], al
    mov al, 0x0a
    out 0x70, al
    in al, 0x71
    shr al, 7
    add [COUNTS+60], al
    sti
    ret

say:
    mov eax, [COUNTS]
    xor edx, edx
    mov ecx, 10
    div ecx
    or dx, dx
    jnz .quiet
    mov cx, 8
.digit:
    rol eax, 4
    push ax
    and al, 15
    add al, 'A'
    call letter
    pop ax
    loop .digit
    mov al, 10
    call letter
.quiet:
    ret
letter:
    push ax
    mov dx, 0x3fd
.full:
    in al, dx
    test al, 0x20
    jz .full
    pop ax
    mov dx, 0x3f8
    out dx, al
    ret

times 0xfff0 - ($ - $$) db 0xff
    jmp 0xf000:start
times 0x10000 - ($ - $$) db 0
