; SPDX-License-Identifier: MIT
; The first task of Mach: an ELF program in ring 3 that prints through the kernel's call gate, writes
; a page that is made zero on demand, and ends in an endless loop.
        bits 32
        org 0x08048000

elf:    db 0x7f, "ELF", 1, 1, 1
        times 9 db 0
        dw 2, 3                         ; executable, 386
        dd 1, start, ph - elf, 0, 0
        dw 52, 32, 1, 0, 0, 0
ph:     dd 1, 0, elf, elf, end - elf, end - elf + 0x3000, 7, 0x1000

start:  mov esi, hello
        call print
        mov ebx, end + 0x2000
        mov eax, [ebx]
        add dword [ebx], 0x12345678
        cmp eax, 0
        jne fail
        mov ax, cs
        and ax, 3
        cmp ax, 3
        jne fail
        mov esi, well
        call print
        jmp $
fail:   mov esi, bad
        call print
        jmp $

print:  push esi
        call trap
        pop esi
        ret
trap:   mov eax, -30                    ; mach_print
        call 7:0
        ret

hello:  db "task: hello", 10, 0
well:   db "task: well", 10, 0
bad:    db "task: bad", 10, 0
end:
