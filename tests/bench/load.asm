; SPDX-License-Identifier: MIT
; The guest of migration.py: a boot sector that fills 256 MiB with pseudo-random words and then, for
; ever, writes to each of 64 pages and prints a byte: "r" once it is ready, then "." per round of them.
; Assembled with nasm.
%define FILLED 0x4000000
%define WORDS (256 * 1024 * 1024 / 4)
%define HOT 0x1000000
%define ROUNDS 100
%include "boot.inc"
    BOOT_FLAT
    mov edi,FILLED
    mov ecx,WORDS
    mov eax,1
.fill:
    mov edx,eax                 ; xorshift
    shl edx,13
    xor eax,edx
    mov edx,eax
    shr edx,17
    xor eax,edx
    mov edx,eax
    shl edx,5
    xor eax,edx
    stosd
    dec ecx
    jnz .fill
    mov dx,0x3f8
    mov al,'r'
    out dx,al
again:
    mov esi,ROUNDS
.round:
    mov eax,cr0                 ; see tests/guest/pages.asm
    xor eax,0x10000
    mov cr0,eax
    mov edi,HOT
    mov ecx,64
.page:
    inc dword [edi + 8]
    add edi,4096
    dec ecx
    jnz .page
    dec esi
    jnz .round
    mov dx,0x3fd
.full:
    in al,dx
    test al,0x20
    jz .full
    mov dx,0x3f8
    mov al,'.'
    out dx,al
    jmp again
    BOOT_FLAT_END
