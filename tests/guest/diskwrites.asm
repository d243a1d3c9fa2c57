; SPDX-License-Identifier: MIT
; A boot sector that keeps writing to the second disk, by PIO: round n fills sector (n * 4099) modulo
; SECTORS with n, reads the one written in the round before, and compares.  Prints "." every 64 rounds
; and "X" where a sector is not what it was.  Assembled with nasm -D SECTORS=number.
%define DISK 0x170
; Empties the TLB: QEMU 7.2's TCG may let a page stay writable, unseen, while the migration takes it for
; clean.  Every change of CR0.WP does.
%macro FLUSH 0
    mov eax,cr0
    xor eax,0x10000
    mov cr0,eax
%endmacro
bits 16
org 0x7c00
    cli
    xor ax,ax
    mov ds,ax
    mov es,ax
    mov ss,ax
    mov sp,0x7000
    mov dx,DISK + 6
    mov al,0xe0                 ; LBA, master
    out dx,al
    xor ebx,ebx                 ; ebx: n
round:
    FLUSH
    inc ebx
    mov eax,ebx
    mov di,0x8000
    mov cx,128
    rep stosd
    mov al,0x30                 ; WRITE SECTORS
    call command
    mov si,0x8000
    mov cx,256
    mov dx,DISK
    rep outsw
    call ready
    dec ebx
    jz .first
    mov al,0x20                 ; READ SECTORS, of the round before
    call command
    FLUSH
    mov di,0x8200
    mov cx,256
    mov dx,DISK
    rep insw
    mov di,0x8200
    mov eax,ebx
    mov cx,128
    repe scasd
    jne wrong
.first:
    inc ebx
    test bl,63
    jnz round
    mov dx,0x3f8
    mov al,'.'
    out dx,al
    jmp round

; Starts command al for the sector of round ebx, and waits for its data.
command:
    push ax
    FLUSH
    mov eax,ebx
    imul eax,eax,4099
    xor edx,edx
    mov ecx,SECTORS
    div ecx
    mov eax,edx
    mov dx,DISK + 3
    out dx,al
    shr eax,8
    inc dx
    out dx,al
    shr eax,8
    inc dx
    out dx,al
    mov dx,DISK + 2
    mov al,1
    out dx,al
    mov dx,DISK + 7
    pop ax
    out dx,al
.wait:
    call ready
    test al,8
    jz .wait
    ret

ready:
    mov dx,DISK + 7
    in al,dx
    test al,0x80
    jnz ready
    test al,1
    jnz wrong
    ret

wrong:
    mov dx,0x3f8
    mov al,'X'
    out dx,al
    jmp wrong
times 510 - ($ - $$) db 0
dw 0xaa55
