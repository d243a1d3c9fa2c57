# SPDX-License-Identifier: MIT
# A boot sector that shows one video mode after the other, each filled by way of the BIOS and by
# writing to video memory.  It sends a byte over COM1 when a picture stands and waits for a key.
.code16
.intel_syntax noprefix
.globl _start
_start:
    xor ax, ax
    mov ds, ax
    mov ss, ax
    mov sp, 0x7c00
    cld
    mov si, offset modes
next:
    lodsw
    test ax, ax
    jz halt
    push si
    mov bp, ax
    mov bx, ax
    test ah, ah
    jz set
    mov ax, 0x4f02
set:
    int 0x10
    mov ah, 1                   # no cursor: it blinks
    mov cx, 0x2607
    int 0x10

    mov di, 60                  # lines of text in all colours, scrolling where it must
line:
    mov si, offset text
letter:
    lodsb
    test al, al
    jz line_end
    mov ah, 0x0e
    mov bx, di
    and bx, 0x0f
    int 0x10
    jmp letter
line_end:
    dec di
    jnz line

    mov cx, 150                 # a diagonal, dot by dot
dot:
    mov dx, cx
    mov ah, 0x0c
    mov al, cl
    xor bx, bx
    int 0x10
    loop dot

    mov ax, 0xb800
    cmp bp, 0x100
    jae banks
    cmp bp, 4
    jae shown
    mov es, ax                  # characters with attributes
    mov di, 1600
    xor ax, ax
cell:
    stosw
    add ax, 0x0101
    cmp ah, 0x80
    jb cell
    jmp shown

banks:                          # half a megabyte through the window
    mov ax, 0xa000
    mov es, ax
    xor cx, cx
bank:
    mov ax, 0x4f05
    xor bx, bx
    mov dx, cx
    int 0x10
    xor di, di
    mov ax, cx
fill:
    stosw
    add ax, 0x1337
    rol ax, 3
    test di, di
    jnz fill
    inc cx
    cmp cx, 8
    jb bank
shown:
    mov dx, 0x3f8
    mov al, 'R'
    out dx, al
    xor ah, ah
    int 0x16
    pop si
    jmp next
halt:
    hlt
    jmp halt

text:
    .ascii "Hello, picture! \3\r\n\0"
modes:
    .word 0x01, 0x03, 0x04, 0x06, 0x0d, 0x10, 0x12, 0x13
    .word 0x100, 0x101, 0x103, 0x110, 0x111, 0x112, 0x118, 0
    .org 510
    .word 0xaa55
