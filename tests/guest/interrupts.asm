; SPDX-License-Identifier: MIT
; When interrupts come: what blocks NMIs and what lets them in again, the shadows of STI and of loads
; of SS, and which of two comes first (Intel SDM volume 3, 6.7 to 6.9 and 17.3).
; interrupts.expect is what Bochs prints.  Assembled with nasm.
;
; Every handler prints a letter of its own and where it has interrupted: an offset from the
; paragraph's beginning, or 8000xx00h for the first instruction of vector xx's handler.  The APIC
; sends NMIs ("n") and the interrupt "v" to its own CPU; "d" prints DR6, too.  "x" and "y" are said
; by the code itself.
%include "boot.inc"
%include "paragraphs.inc"
%include "pics.inc"
BOOT_SECTORS 10, gdtr, 8, start

CODE equ 8
DATA equ 0x10
TSSA equ 0x18
TSSB equ 0x20
BEYOND equ 0x58         ; the table ends before
APIC equ 0xfee00000
IOAPIC equ 0xfec00000
IDT equ 0x1000
NUMBER equ 0x5000       ; of the paragraph
BASE equ 0x5004         ; where it begins
ON_NMI equ 0x5008       ; what the next NMI's handler does
RESUME equ 0x500c       ; where #GP's and #UD's go on
STEPS equ 0x5010        ; how many single steps are to come
COUNT equ 0x5014        ; of NMIs by the timer ...
IN_SHADOW equ 0x5018    ; ... of those that came where they must not
WATCHED equ 0x5020
WATCHED2 equ 0x5030
STACK equ 0x80000
FRAME_EIP equ 36        ; as ON_NMI's code sees it
FRAME_EFLAGS equ 44

%macro PARAGRAPH_BEGIN 0
    cli
    mov eax,[esp]       ; behind the call
    mov [BASE],eax
    mov edx,DATA
%endmacro
%macro SAY 1
    mov al,%1
    call char
%endmacro
%macro NMI 0
    mov dword [APIC+0x300],0x4400
%endmacro
%macro INTERRUPT 0
    mov dword [APIC+0x300],0x4040
%endmacro
%macro STEP 1           ; the next %1 instructions one by one
    mov dword [STEPS],%1
    pushfd
    or dword [esp],0x100
    popfd
%endmacro
; Breakpoint 0: %1 its address, %2 0 for instructions, 0xd for writes, 0xf for accesses to 4 bytes.
%macro BREAK 2
    mov eax,%1
    mov dr0,eax
    mov eax,(%2 << 16) | 0x402
    mov dr7,eax
%endmacro
%macro TIMER_NMI 2      ; the PIT's mode and count, through the I/O APIC
    mov dword [IOAPIC],0x15
    mov dword [IOAPIC+0x10],0
    mov dword [IOAPIC],0x14
    mov dword [IOAPIC+0x10],0x400
    mov al,0x30 | %1 << 1
    out 0x43,al
    mov al,(%2) & 0xff
    out 0x40,al
    mov al,(%2) >> 8
    out 0x40,al
%endmacro
%macro TIMER_OFF 0
    mov dword [IOAPIC],0x14
    mov dword [IOAPIC+0x10],0x10000
%endmacro

start:
    mov ax,DATA
    mov ds,ax
    mov es,ax
    mov ss,ax
    mov fs,ax
    mov gs,ax
    mov esp,STACK
    cld
    PICS_MASKED
    xor eax,eax
    mov edi,NUMBER
    mov ecx,0x100
    rep stosd
    mov dword [ON_NMI],nothing
    mov dword [WATCHED],DATA
    mov dword [WATCHED2],DATA
    mov edi,IDT
    mov ecx,0x100
    rep stosd
%macro GATE 1
    mov dword [IDT+%1*8],(on_%1 - $$ + 0x7c00) & 0xffff | CODE << 16
    mov dword [IDT+%1*8+4],0x8e00
%endmacro
    GATE 0x01
    GATE 0x02
    GATE 0x03
    GATE 0x06
    GATE 0x0d
    GATE 0x30
    GATE 0x40
    lidt [idtr]
    mov ax,TSSA
    ltr ax
    mov dword [APIC+0xf0],0x1ff
    mov dword [APIC+0x310],0

    TEST ; an NMI comes behind the instruction that has sent it, whatever IF is
    NMI
    nop
    nop

    TEST ; in the handler one waits for IRET, and comes before anything else
    mov dword [ON_NMI],.in
    NMI
    jmp .end
.in:
    NMI
    nop
    SAY 'x'
    ret
.end:

    TEST ; of three that wait one comes
    mov dword [ON_NMI],.in
    NMI
    jmp .end
.in:
    NMI
    NMI
    NMI
    SAY 'x'
    ret
.end:

    TEST ; any IRET lets it in, be it another handler's
    mov dword [ON_NMI],.in
    NMI
    jmp .end
.in:
    NMI
    SAY 'x'
    int 0x30
    SAY 'y'
    ret
.end:

    TEST ; an IRET that faults has let it in: before the fault's handler
    mov dword [RESUME],.end
    mov dword [ON_NMI],.in
    NMI
.in:
    NMI
    SAY 'x'
    pushfd
    push dword BEYOND
    push dword .end
    iretd
.end:
    mov esp,STACK

    TEST ; without an IRET it stays where it is
    mov dword [ON_NMI],.in
    NMI
.in:
    mov esp,STACK
    NMI
    SAY 'x'
    push cs
    push dword .out
    retf
.out:
    pushfd
    popfd
    nop
    SAY 'y'
    int 0x30

    TEST ; INT 2 blocks nothing
    mov dword [ON_NMI],.in
    int 2
    jmp .end
.in:
    NMI
    nop
    SAY 'x'
    ret
.end:

    TEST ; it goes before an interrupt
    mov dword [ON_NMI],.in
    NMI
    nop
    jmp .end
.in:
    INTERRUPT
    NMI
    SAY 'x'
    or dword [esp+FRAME_EFLAGS],0x200
    ret
.end:

    TEST ; it ends HLT though IF is clear
    TIMER_NMI 0,2000
    hlt
    TIMER_OFF

    TEST ; one that is blocked does not end HLT
    mov dword [ON_NMI],.in
    NMI
    jmp .end
.in:
    NMI
    INTERRUPT
    SAY 'x'
    sti
    hlt
    SAY 'y'
    ret
.end:

    TEST ; through a task gate, from which IRET goes back to the other task
    mov dword [IDT+0x02*8],TSSB << 16
    mov dword [IDT+0x02*8+4],0x8500
    NMI
    GATE 0x02

    TEST ; none comes between MOV SS and the next instruction
    mov dword [ON_NMI],.in
    mov dword [COUNT],1
    TIMER_NMI 2,600
.loop:
%rep 64
    mov ss,dx
    inc ecx
%endrep
.loop_end:
    cmp dword [COUNT],101
    jb .loop
    TIMER_OFF
    SHOW [IN_SHADOW]
    mov dword [ON_NMI],nothing
    jmp .end
.in:                    ; the timer's are not told one by one
    mov dword [ON_NMI],.in
    inc dword [COUNT]
    mov eax,[esp+FRAME_EIP]
    sub eax,.loop
    cmp eax,.loop_end-.loop
    jae .done
    mov bl,3
    div bl
    cmp ah,2
    jne .done
    inc dword [IN_SHADOW]
.done:
    ret
.end:

    TEST ; the shadow of STI: one instruction
    INTERRUPT
    sti
    nop
    nop

    TEST ; a second STI has none
    INTERRUPT
    sti
    sti
    nop
    nop

    TEST ; CLI in it
    INTERRUPT
    sti
    cli
    nop
    nop
    SAY 'x'
    sti
    nop
    nop

    TEST ; HLT in it
    INTERRUPT
    sti
    hlt
    nop

    TEST ; INT in it
    INTERRUPT
    sti
    int 0x30
    nop

    TEST ; a fault in it
    mov dword [RESUME],.end
    INTERRUPT
    sti
    ud2
    nop
.end:
    nop

    TEST ; POPF has none
    INTERRUPT
    pushfd
    or dword [esp],0x200
    popfd
    nop
    nop

    TEST ; IRET has none
    INTERRUPT
    pushfd
    or dword [esp],0x200
    push cs
    push dword .to
    iretd
.to:
    nop
    nop

    TEST ; MOV SS in the shadow of STI
    INTERRUPT
    sti
    mov ss,dx
    nop
    nop

    TEST ; two in it
    INTERRUPT
    sti
    mov ss,dx
    mov ss,dx
    nop
    nop

    TEST ; POP SS in it
    INTERRUPT
    push ss
    sti
    pop ss
    nop
    nop

    TEST ; LSS in it: has none itself
    INTERRUPT
    sti
    lss esp,[stack_pointer]
    nop
    nop

    TEST ; STI in the shadow of MOV SS
    INTERRUPT
    mov ss,dx
    sti
    nop
    nop

    TEST ; data breakpoint of MOV SS: one instruction later
    BREAK WATCHED,0xf
    mov ss,[WATCHED]
    nop
    nop

    TEST ; of the first of two
    BREAK WATCHED,0xf
    mov ss,[WATCHED]
    mov ss,dx
    nop
    nop

    TEST ; of the second of two
    BREAK WATCHED,0xf
    mov ss,dx
    mov ss,[WATCHED]
    nop
    nop

    TEST ; of POP SS
    BREAK WATCHED2,0xf
    mov esp,WATCHED2
    pop ss
    mov esp,STACK
    nop

    TEST ; MOV DS and LSS have no shadow
    BREAK WATCHED,0xf
    mov ds,[WATCHED]
    nop
    BREAK stack_pointer,0xf
    lss esp,[stack_pointer]
    nop

    TEST ; with an interrupt in the shadow: in its handler
    BREAK WATCHED,0xf
    mov ss,[WATCHED]
    int 0x30
    nop

    TEST ; the same with INT3
    BREAK WATCHED,0xf
    mov ss,[WATCHED]
    int3
    nop

    TEST ; instruction breakpoint in the shadow
    BREAK .at,0
    mov ss,dx
.at:
    nop
    nop

    TEST ; behind two
    BREAK .at,0
    mov ss,dx
    mov ss,dx
.at:
    nop
    nop

    TEST ; and in the shadow of STI, which holds nothing back
    BREAK .at,0
    sti
.at:
    nop
    nop

    TEST ; single steps and MOV SS
    STEP 3
    nop
    mov ss,dx
    nop
    nop

    TEST ; single steps and STI, with an interrupt
    INTERRUPT
    STEP 2
    sti
    nop
    nop

    TEST ; a trap goes before an interrupt
    INTERRUPT
    BREAK WATCHED2,0xd
    sti
    mov [WATCHED2],eax
    nop

    TEST ; and before an NMI
    BREAK APIC+0x300,0xd
    NMI
    nop

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

; -- handlers, 256 bytes each --

; EBX: where.
tell:
    out 0xe9,al
    mov al,' '
    out 0xe9,al
    mov eax,ebx
    sub eax,handlers
    cmp eax,HANDLERS*256
    jae .code
    movzx ecx,al
    shr eax,8
    mov ah,[vectors+eax]
    mov al,cl
    or eax,0x80000000
    jmp hex
.code:
    mov eax,ebx
    sub eax,[BASE]
    jmp hex
vectors: db 0x01,0x02,0x03,0x06,0x0d,0x30,0x40
HANDLERS equ $-vectors

nothing:
    ret

%macro HANDLER 2
align 256
on_%1:
    pushad
    mov al,%2
    mov ebx,[esp+32]
%endmacro

align 256
handlers:
HANDLER 0x01,'d'
    call tell
    mov eax,dr6
    call hex
    mov eax,0xffff0ff0
    mov dr6,eax
    mov eax,0x400
    mov dr7,eax
    test dword [STEPS],0xff
    jz .done
    dec dword [STEPS]
    jnz .done
    and byte [esp+41],0xfe  ; TF
.done:
    popad
    iretd
HANDLER 0x02,'n'
    cmp dword [COUNT],0
    jne .silent
    call tell
.silent:
    mov eax,[ON_NMI]
    mov dword [ON_NMI],nothing
    call eax
    popad
    iretd
HANDLER 0x03,'b'
    call tell
    popad
    iretd
HANDLER 0x06,'u'
    call tell
    mov eax,[RESUME]
    mov [esp+32],eax
    popad
    iretd
align 256
on_0x0d:
    add esp,4
    pushad
    mov al,'g'
    mov ebx,[esp+32]
    call tell
    mov eax,[RESUME]
    mov [esp+32],eax
    popad
    iretd
HANDLER 0x30,'i'
    call tell
    popad
    iretd
HANDLER 0x40,'v'
    call tell
    mov dword [APIC+0xb0],0
    popad
    iretd

; An NMI's task.
task:
    SAY 'k'
    NMI
    SAY 'x'
    iretd
    SAY 'k'
    SAY 'y'
    iretd

PARAGRAPHS

align 8
gdt: dq 0, 0x00cf9b000000ffff, 0x00cf93000000ffff
    dw 103, tss_a, 0x8900, 0
    dw 103, tss_b, 0x8900, 0
gdtr: dw 39
    dd gdt
idtr: dw 0x3ff
    dd IDT
stack_pointer: dd STACK, DATA
tss_a: times 104 db 0
tss_b:
    times 0x20 db 0
    dd task, 2
    times 4 dd 0
    dd STACK-0x1000     ; ESP
    times 3 dd 0
    dd DATA, CODE, DATA, DATA, DATA, DATA, 0, 104 << 16
times 512*11-($-$$) db 0
