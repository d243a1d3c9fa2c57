; SPDX-License-Identifier: MIT
; Address line 20: what its being masked does to data, code, tables and page tables, from the very next
; instruction on (Intel SDM volume 3, 21.33 (A20M#); the keyboard controller's and port 92h's data
; sheets).  a20.expect is what Bochs prints.  Assembled with nasm.
;
; Each megabyte has a mark of its own at MARK, so that a mark shows which byte was read.
%include "boot.inc"
%include "paragraphs.inc"
BOOT_SECTORS 6, gdtr, 8, start

NUMBER equ 0x5000       ; of the paragraph
MARK equ 0x50500
MB equ 0x100000
ROUTINE equ 0x50600     ; in each megabyte another one
SCRATCH equ 0x50700
PD equ 0x10000          ; page tables below 1 MiB, and behind
PT equ 0x11000
PD_HIGH equ PD + MB
PT_HIGH equ PT + MB
WINDOW equ 0x300000     ; linear, where the page tables lead elsewhere

%macro PARAGRAPH_BEGIN 0
    mov al,2            ; both say: open
    out 0x92,al
    call kbc_open
%endmacro
%macro PORT92 1
    mov al,%1 << 1
    out 0x92,al
%endmacro
%macro MARKS 0
    SHOW [MARK]
    SHOW [MARK+MB]
    SHOW [MARK+2*MB]
    SHOW [MARK+3*MB]
%endmacro

start:
    mov ax,16
    mov ds,ax
    mov es,ax
    mov ss,ax
    mov fs,ax
    mov gs,ax
    mov esp,0x80000
    cld
    mov byte [NUMBER],0
    mov dword [MARK],0x00000050
    mov dword [MARK+MB],0x00100050
    mov dword [MARK+2*MB],0x00200050
    mov dword [MARK+3*MB],0x00300050
%assign mb 0
%rep 4
    mov dword [ROUTINE+mb*MB],0xb8 | (0xc0 + mb) << 8   ; MOV EAX, ...
    mov word [ROUTINE+mb*MB+4],0xc300                   ; RET
%assign mb mb+1
%endrep

    TEST ; open
    MARKS

    TEST ; masked by port 92h: odd megabytes are even ones
    PORT92 0
    MARKS
    in al,0x92
    and eax,2
    call hex

    TEST ; writes
    PORT92 0
    mov dword [SCRATCH+MB],0x11111111
    SHOW [SCRATCH]
    PORT92 1
    SHOW [SCRATCH]
    mov dword [SCRATCH+MB],0x22222222
    PORT92 0
    SHOW [SCRATCH+MB]
    PORT92 1
    SHOW [SCRATCH+MB]

    TEST ; an access across the megabyte's end
    mov dword [3*MB-4],0x33333333
    mov dword [2*MB],0x44444444
    mov dword [3*MB],0x55555555
    SHOW [3*MB-2]
    PORT92 0
    SHOW [3*MB-2]
    mov dword [3*MB-2],0x66666666
    mov dword [4*MB-6],0x77777777
    PORT92 1
    SHOW [2*MB]
    SHOW [3*MB]
    SHOW [3*MB-4]
    SHOW [3*MB-8]

    TEST ; code, run before and behind each switch
    mov ebx,ROUTINE+MB
    call ebx
    call hex
    PORT92 0
    call ebx
    call hex
    mov byte [ROUTINE+1],0xd0   ; seen at both addresses
    call ebx
    call hex
    PORT92 1
    call ebx
    call hex
    mov ebx,ROUTINE
    call ebx
    call hex
    mov byte [ROUTINE+1],0xc0

    TEST ; the keyboard controller's output port
    call kbc_masked
    PORT92 0
    MARKS
    call kbc_open
    MARKS
    call kbc_masked
    MARKS
    PORT92 1
    MARKS

    TEST ; and its commands
    PORT92 0
    mov al,0xdd
    call kbc_command
    MARKS
    mov al,0xdf
    call kbc_command
    MARKS

    TEST ; descriptors
    mov esi,gdt
    mov edi,SCRATCH
    mov ecx,8
    rep movsd
    mov esi,gdt
    mov edi,SCRATCH+MB
    mov ecx,8
    rep movsd
    mov byte [SCRATCH+0x18+1],0x12      ; limits tell them apart
    mov byte [SCRATCH+MB+0x18+1],0x34
    lgdt [gdtr_high]
    mov eax,0x18
    lsl ebx,eax
    SHOW ebx
    PORT92 0
    mov eax,0x18
    lsl ebx,eax
    SHOW ebx
    mov eax,0x18
    mov fs,ax                           ; is marked as accessed below
    PORT92 1
    SHOW [SCRATCH+0x18+4]
    SHOW [SCRATCH+MB+0x18+4]
    lgdt [gdtr]
    mov eax,16
    mov fs,ax

    TEST ; gates
    mov dword [SCRATCH],handler_low + 0x80000
    mov dword [SCRATCH+4],0x8e00
    mov dword [SCRATCH+MB],handler_high + 0x80000
    mov dword [SCRATCH+MB+4],0x8e00
    lidt [idtr_high]
    int 0
    call hex
    PORT92 0
    int 0
    call hex

    TEST ; under paging it is the physical address that counts
    call tables
    mov dword [PT+(WINDOW>>10)],MB+MARK-0x500+7         ; linear 3 MiB to 1 MiB and something
    mov dword [PT+(WINDOW>>10)+4],MARK-0x500+7
    mov dword [PT+((MARK+MB)>>12)*4],2*MB+MARK-0x500+7  ; an odd megabyte to an even one
    mov eax,PD
    call paging_on
    SHOW [WINDOW+0x500]
    SHOW [WINDOW+0x1500]
    SHOW [MARK+MB]
    PORT92 0
    SHOW [WINDOW+0x500]
    SHOW [WINDOW+0x1500]
    SHOW [MARK+MB]
    PORT92 1
    SHOW [WINDOW+0x500]
    SHOW [WINDOW+0x1500]
    SHOW [MARK+MB]
    mov dword [WINDOW+0x500],0x00110050
    PORT92 0
    mov dword [WINDOW+0x500],0x00010050
    PORT92 1
    call paging_off
    MARKS
    mov dword [MARK],0x00000050
    mov dword [MARK+MB],0x00100050

    TEST ; the page directory
    call tables
    mov dword [PD_HIGH],PT_HIGH+7
    mov dword [PT+(WINDOW>>10)],MARK-0x500+7
    mov dword [PT_HIGH+(WINDOW>>10)],2*MB+MARK-0x500+7
    mov eax,PD_HIGH
    call paging_on
    SHOW [WINDOW+0x500]
    PORT92 0
    mov eax,cr3                         ; what was known is forgotten
    mov cr3,eax
    SHOW [WINDOW+0x500]
    PORT92 1
    mov eax,cr3
    mov cr3,eax
    SHOW [WINDOW+0x500]
    call paging_off
    call marked

    TEST ; page tables alone, and their bits
    call tables
    mov dword [PD],PT_HIGH+7
    mov dword [PT+(WINDOW>>10)],MARK-0x500+7
    mov dword [PT_HIGH+(WINDOW>>10)],2*MB+MARK-0x500+7
    mov eax,PD
    call paging_on
    PORT92 0
    mov eax,cr3
    mov cr3,eax
    SHOW [WINDOW+0x500]
    mov dword [WINDOW+0x504],0
    call paging_off
    PORT92 1
    call marked

    mov al,10
    out 0xe9,al
    mov al,'Z'
    out 0xe9,al
    mov al,10
    out 0xe9,al
hang:
    cli
    hlt
    jmp hang

; -- pieces --

; Both tables lead where they are: 4 MiB, nothing marked.
tables:
    mov edi,PD
    call .one
    mov edi,PD_HIGH
.one:
    lea eax,[edi+0x1000+7]
    stosd
    mov ecx,1023
    xor eax,eax
    rep stosd
    mov eax,7
.l: stosd
    add eax,0x1000
    cmp eax,0x400000
    jb .l
    ret

; What the walks have marked: in the low tables, then in the high ones.
marked:
    SHOW [PD]
    SHOW [PT+(WINDOW>>10)]
    SHOW [PD_HIGH]
    SHOW [PT_HIGH+(WINDOW>>10)]
    ret

paging_on:              ; EAX: the page directory
    mov cr3,eax
    mov eax,cr0
    or eax,0x80000000
    mov cr0,eax
    ret

paging_off:
    mov eax,cr0
    and eax,0x7fffffff
    mov cr0,eax
    ret

handler_low:
    mov eax,0x10
    iretd
handler_high:
    mov eax,0x20
    iretd

kbc_open:
    mov al,0xd1
    call kbc_command
    mov al,0xdf
    jmp kbc_data
kbc_masked:
    mov al,0xd1
    call kbc_command
    mov al,0xdd
kbc_data:
    out 0x60,al
    jmp kbc_wait
kbc_command:
    push eax
    call kbc_wait
    pop eax
    out 0x64,al
kbc_wait:
    in al,0x64
    test al,2
    jnz kbc_wait
    ret

PARAGRAPHS

align 8
gdt: dq 0, 0x00cf9b000000ffff, 0x00cf93000000ffff, 0x0040920000000fff
gdtr: dw 31
    dd gdt
gdtr_high: dw 31
    dd SCRATCH+MB
idtr_high: dw 7
    dd SCRATCH+MB
times 512*7-($-$$) db 0
