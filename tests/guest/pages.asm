; SPDX-License-Identifier: MIT
; A boot sector whose pages change in all ways that a migration tells apart, and that checks each of
; them before it changes it: sweep n increments a word in 256 pages, fills 64 with a new pattern, and
; makes 16 others zero and full, of the same, in turn.  Prints "." every 8 sweeps and "X" where a page is not what
; it was.  It empties the TLB before whatever it writes: QEMU 7.2's TCG may let a page stay writable,
; unseen, while the migration takes it for clean.  Assembled with nasm.
%define COUNTED 0x400000
%define COUNTED_PAGES 256
%define FULL 0x600000
%define TURNS 0x700000
%define FULL_PAGES 64
%define TURNS_PAGES 16
%define K 2654435761
%include "boot.inc"
    BOOT_FLAT
    mov edi,COUNTED
    mov ecx,COUNTED_PAGES * 1024
.fill:
    mov eax,edi
    shr eax,4                   ; equal words: zlib can shorten them
    imul eax,eax,K
    stosd
    loop .fill
    mov edi,COUNTED
    mov ecx,COUNTED_PAGES
.zero:
    mov dword [edi + 100],0
    add edi,4096
    loop .zero
    xor ebx,ebx                 ; ebx: n, the sweep

sweep:
    inc ebx
    mov edi,COUNTED
    mov ecx,COUNTED_PAGES
.count:
    lea eax,[ebx - 1]
    cmp [edi + 100],eax
    jne wrong
    call flush
    mov [edi + 100],ebx
    add edi,4096
    loop .count
    movzx edi,bl                ; one of these pages is looked at whole
    shl edi,12
    add edi,COUNTED
    mov ecx,1024
.look:
    mov eax,edi
    shr eax,4
    imul eax,eax,K
    mov edx,edi
    and edx,4095
    cmp edx,100
    je .next
    cmp [edi],eax
    jne wrong
.next:
    add edi,4
    loop .look
    mov edi,FULL
    mov ecx,FULL_PAGES * 1024
    call rewrite
    mov edi,TURNS
    mov ecx,TURNS_PAGES * 1024
    call rewrite
    test bl,7
    jnz sweep
    mov dx,0x3f8
    mov al,'.'
    out dx,al
    jmp sweep

; What word edi of sweep eax is, in eax.
pattern:
    cmp edi,TURNS
    jb .full
    and eax,1
    imul eax,edi
    ret
.full:
    lea eax,[eax * 8 + edi]
    imul eax,eax,K
    ret

; Checks the ecx words at edi for sweep n - 1 (but in the first) and makes them those of sweep n.
rewrite:
.word:
    lea eax,[ebx - 1]
    call pattern
    cmp ebx,1
    je .store
    cmp [edi],eax
    jne wrong
.store:
    test edi,0xfc
    jnz .same
    call flush
.same:
    mov eax,ebx
    call pattern
    stosd
    loop .word
    ret

flush:
    mov eax,cr0
    xor eax,0x10000             ; WP: of no use here, but every change of it empties the TLB
    mov cr0,eax
    ret

wrong:
    mov dx,0x3f8
    mov al,'X'
    out dx,al
    jmp wrong

    BOOT_FLAT_END
