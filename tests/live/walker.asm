; SPDX-License-Identifier: MIT
; A ROM whose guest walks over RAM without end: on each pass it checks that every page from 1 MiB on
; still holds the last pass's number, at its front and at its end, and writes the new one.  What it
; tells stands in low memory: 7000h the pass, 7004h the address where a page was wrong, or 0.
;
; WALK_END says where the walk ends; WAIT how many idle loops lie between two pages.  With TWO the
; other CPUs count at 7010h.
%ifndef WALK_END
%define WALK_END 0x900000
%endif
%ifndef WAIT
%define WAIT 2000
%endif
bits 16
org 0
start:
    cli
    lgdt [cs:gdtr]
    mov eax, cr0
    or al, 1
    mov cr0, eax
    jmp dword 8:(0xf0000 + flat)
bits 32
flat:
    mov ax, 16
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov esp, 0x6000
    xor ebp, ebp
    mov dword [0x7004], 0
%ifdef TWO
    mov esi, 0xf0000 + counts
    mov edi, 0x8000
    mov ecx, counts_end - counts
    rep movsb
    mov dword [0xfee00300], 0xc4500     ; INIT to all others
    mov ecx, 1000000
    loop $
    mov dword [0xfee00300], 0xc4608     ; they start at 8000h
%endif
pass:
    mov [0x7000], ebp
    mov edi, 0x100000
page:
    cmp [edi], ebp
    jne wrong
    cmp [edi + 4092], ebp
    jne wrong
    inc dword [edi]
    inc dword [edi + 4092]
    mov ecx, WAIT
idle:
    dec ecx
    jnz idle
    add edi, 4096
    cmp edi, WALK_END
    jb page
    inc ebp
    jmp pass
wrong:
    mov [0x7004], edi
    hlt
    jmp wrong

bits 16
counts:
    xor ax, ax
    mov ds, ax
.more:
    lock inc dword [0x7010]
    jmp short .more
counts_end:

    align 8
gdt:
    dq 0
    dq 0x00cf9b000000ffff
    dq 0x00cf93000000ffff
gdtr:
    dw 23
    dd 0xf0000 + gdt
    times 0xfff0 - ($ - $$) db 0
bits 16
    jmp 0xf000:start
    times 0x10000 - ($ - $$) db 0
