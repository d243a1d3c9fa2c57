; SPDX-License-Identifier: MIT
; The guest of migration.py: a boot sector that fills 256 MiB with pseudo-random words and then, for
; ever, writes to each of 64 pages and prints a byte: "r" once it is ready, then "." per 100 rounds of
; them.  Between rounds it reads the TSC and keeps the longest time from one reading to the next.
; To a byte that it receives it answers "G", that time and the ticks of 10 ms by the PIT, as eight
; hexadecimal digits each, and forgets it.  Assembled with nasm.
%define FILLED 0x4000000
%define WORDS (256 * 1024 * 1024 / 4)
%define HOT 0x1000000
%define ROUNDS 100
%define TEN_MS 11932            ; of the PIT's 1193182 Hz
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
    mov al,1                    ; channel 2's gate, no sound
    out 0x61,al
    mov al,0xb0                 ; mode 0: its output rises at the end of the count
    out 0x43,al
    mov al,TEN_MS & 0xff
    out 0x42,al
    mov al,TEN_MS >> 8
    out 0x42,al
    rdtsc
    mov ebp,eax
.count:
    in al,0x61
    test al,0x20
    jz .count
    rdtsc
    sub eax,ebp
    mov [ten_ms],eax
    mov al,'r'
    call put
again:
    rdtsc
    mov ebp,eax                 ; what is printed, and asked for, is no gap
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
    rdtsc
    mov ebx,eax
    sub eax,ebp
    mov ebp,ebx
    cmp eax,[longest]
    jbe .short
    mov [longest],eax
.short:
    dec esi
    jnz .round
    mov dx,0x3fd
    in al,dx
    test al,1
    jnz answer
    mov al,'.'
    call put
    jmp again

answer:
    mov dx,0x3f8
    in al,dx
    mov al,'G'
    call put
    xor ebx,ebx
    xchg ebx,[longest]
    call hex
    mov ebx,[ten_ms]
    call hex
    jmp again

hex:                            ; ebx
    mov ecx,8
.digit:
    rol ebx,4
    mov al,bl
    and al,15
    cmp al,10
    sbb al,0x69                 ; the digit's character
    das
    call put
    loop .digit
    ret

put:                            ; al
    mov ah,al
    mov dx,0x3fd
.full:
    in al,dx
    test al,0x20
    jz .full
    mov dx,0x3f8
    mov al,ah
    out dx,al
    ret
longest: dd 0
ten_ms: dd 0
    BOOT_FLAT_END
