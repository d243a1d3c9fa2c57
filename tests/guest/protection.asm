; SPDX-License-Identifier: MIT
; Goes through protected mode's doors, one test after another, and prints through port E9h where each
; one led and what was pushed.  protection.expect is what a CPU of the P6 family says.  Assembled
; with nasm.
%define SECTORS 16
%include "protected.inc"
; go to ring 3 at %1 with flags %2
%macro RING3 2
    push dword DATA3
    push dword 0x28000
    push dword %2
    push dword CODE3
    push dword %1
    iretd
%endmacro

TEST ; null ss
    xor eax,eax
    mov ss,ax
    OK
TEST
    mov ax,DATA3
    mov ss,ax
    OK
TEST
    mov ax,ABSENT
    mov ss,ax
    OK
TEST
    mov ax,ABSENT
    mov ds,ax
    OK
TEST
    mov ax,XONLY
    mov es,ax
    OK
TEST
    mov ax,0xfff8
    mov es,ax
    OK
TEST
    mov ax,0x0c
    mov es,ax
    OK
TEST
    mov ax,RDONLY
    mov es,ax
    mov [es:0x100],eax
    OK
TEST
    mov ax,XONLY
    push ax
    mov eax,[cs:0x100]
    jmp XONLY:.a
.a: mov eax,[cs:0x7c00]
    OK
TEST
    mov ax,DOWN
    mov es,ax
    mov eax,[es:0x5000]
    mov eax,[es:0x4fff]
    OK
TEST
    mov ax,DATALIM
    mov es,ax
    mov eax,[es:0xffc]
    mov eax,[es:0xffd]
    OK
TEST
    mov ax,STK16
    mov ss,ax
    mov esp,0x12340004
    push eax
    mov ebx,esp
    mov ax,DATA0
    mov ss,ax
    mov esp,0x20000
    OK
TEST
    mov ax,DOWN
    mov ss,ax
    mov esp,0x5084
    push eax
    OK
TEST
    jmp ABSCODE:0
    OK
TEST
    jmp CODELIM:0x1000
    OK
TEST
    jmp CONF:.a
.a: OK
TEST
    jmp DATA0:0
    OK
TEST
    jmp 0:0
    OK
TEST
    call GATE:0
    OK
TEST
    call ABSGATE:0
TEST
    call GATENULL:0
TEST
    call GATEDATA:0
TEST
    call CGATE16:0
TEST
    jmp GATE:0
TEST ; from ring 3
    RING3 .a, 2
.a: call GATE:0
TEST
    RING3 .a, 2
.a: push dword 0x77
    push dword 0x88
    call CGATE16:0
TEST
    RING3 .a, 2
.a: jmp GATE:0
TEST
    RING3 .a, 2
.a: call CONF:.b
.b: OK
TEST
    RING3 .a, 2
.a: jmp CODE0:.b
.b: OK
TEST
    RING3 .a, 2
.a: hlt
TEST
    RING3 .a, 0x3202
.a: cli
    int 0x32
TEST
    RING3 .a, 2
.a: cli
TEST
    RING3 .a, 2
.a: in al,0x80
    mov al,0
    OK
TEST
    mov dword [idt+0x34*8+4],0x8e00
    RING3 .a, 2
.a: int 0x34
TEST
    mov dword [idt+0x34*8+4],0x6e00
    int 0x34
TEST
    mov dword [idt+0x34*8+4],0xec00
    int 0x34
TEST
    int 0x50
TEST ; 16 bit interrupt gate
    mov dword [idt+0x34*8],(CODE0<<16)
    mov eax,stub0+0x34*8
    mov [idt+0x34*8],ax
    mov dword [idt+0x34*8+4],0xe600
    int 0x34
TEST
    mov eax,stub0+0x34*8
    mov [idt+0x34*8],ax
    mov dword [idt+0x34*8+4],0xe700
    RING3 .a, 0x202
.a: int 0x34
TEST ; trap gate keeps IF
    mov byte [idt+0x33*8+5],0xef
    RING3 .a, 0x3202
.a: int 0x33
TEST ; gate to data
    mov word [idt+0x34*8+2],DATA0
    int 0x34
TEST
    mov word [idt+0x34*8+2],0
    int 0x34
TEST
    mov word [idt+0x34*8+2],ABSCODE
    int 0x34
TEST ; bad SS0: #TS from ring 3, handler for TS in ring 3
    mov dword [tssa+8],DATA3
    mov word [idt+10*8+2],CODE1
    RING1 .a
.a: int 0x30
TEST
    mov dword [tssa+8],0
    mov word [idt+10*8+2],CODE1
    RING1 .a
.a: int 0x30
TEST
    mov dword [tssa+8],ABSENT
    mov word [idt+12*8+2],CODE1
    RING1 .a
.a: int 0x30
TEST ; task jump
    jmp TSSB:0
TEST
    call TSSB:0
TEST
    call TGATE:0
TEST
    jmp TGATE:0
TEST
    call TGATEABS:0
TEST ; int through task gate
    mov dword [idt+0x34*8],TSSB<<16
    mov dword [idt+0x34*8+4],0xe500
    int 0x34
    OK
TEST ; #GP through task gate: error code on B's stack
    mov dword [idt+13*8],TSSB<<16
    mov dword [idt+13*8+4],0xe500
    mov ax,XONLY
    mov ds,ax
TEST ; call and iret back
    mov dword [tssb+0x20],.b
    call TSSB:0
    OK
.b: iretd
TEST ; call twice
    mov dword [tssb+0x20],.b
    call TSSB:0
    call TSSB:0
    OK
.b: iretd
    int 0x35
TEST ; busy
    mov byte [gdt+TSSB+5],0x8b
    jmp TSSB:0
TEST
    jmp SMALLTSS:0
TEST
    call TSSC:0
TEST
    jmp TSSC:0
TEST ; 16-bit TSS and back
    mov word [tssc+0xe],.b
    mov ebx,0x12345678
    call TSSC:0
    OK
.b: iretd
TEST ; bad CS in the new task
    mov dword [tssb+0x4c],DATA0
    jmp TSSB:0
TEST
    mov dword [tssb+0x4c],ABSCODE
    jmp TSSB:0
TEST
    mov dword [tssb+0x50],ABSENT
    jmp TSSB:0
TEST
    mov dword [tssb+0x50],0
    jmp TSSB:0
TEST
    mov dword [tssb+0x54],ABSENT
    jmp TSSB:0
TEST
    mov dword [tssb+0x54],XONLY
    jmp TSSB:0
TEST
    mov dword [tssb+0x60],DATA0
    jmp TSSB:0
TEST
    mov dword [tssb+0x60],LDTS
    jmp TSSB:0
TEST ; task in ring 3
    mov dword [tssb+0x4c],CODE3
    mov dword [tssb+0x50],DATA3
    jmp TSSB:0
TEST ; eip beyond
    mov dword [tssb+0x4c],CODELIM
    mov dword [tssb+0x20],0x5000
    jmp TSSB:0
TEST ; debug trap bit
    mov byte [tssb+0x64],1
    jmp TSSB:0
TEST ; iret with NT, link not busy
    mov word [tssa],TSSB
    pushfd
    or dword [esp],0x4000
    popfd
    iretd
TEST
    mov word [tssa],TSSB
    mov byte [gdt+TSSB+5],0x8b
    pushfd
    or dword [esp],0x4000
    popfd
    iretd
TEST
    mov word [tssa],0x2c
    pushfd
    or dword [esp],0x4000
    popfd
    iretd
TEST ; retf outer
    mov ax,CONF
    mov fs,ax
    push dword DATA3
    push dword 0x28000
    push dword CODE3
    push dword .a
    retf
.a: OK
TEST
    push dword DATA0
    push dword 0x28000
    push dword CODE3
    push dword .a
    retf
.a: OK
TEST
    push dword ABSENT
    push dword 0x28000
    push dword CODE3
    push dword .a
    retf
.a: OK
TEST
    push dword 0
    push dword .a
    retf
.a: OK
TEST
    RING3 .a, 2
.a: push dword CODE0
    push dword .b
    retf
.b: OK
TEST
    push dword DATA3
    push dword 0x28000
    push dword 0x11
    push dword 0x22
    push dword CODE3
    push dword .a
    retf 8
.a: OK
TEST ; v86
    push dword 0x4444
    push dword 0x3333
    push dword 0x2222
    push dword 0x1111
    push dword 0x2000
    push dword 0x800
    push dword 0x23002
    push dword 0
    push dword v86code
    iretd
TEST ; v86, iopl 0
    push dword 0x4444
    push dword 0x3333
    push dword 0x2222
    push dword 0x1111
    push dword 0x2000
    push dword 0x800
    push dword 0x20002
    push dword 0
    push dword v86code
    iretd
TEST ; v86, hlt
    push dword 0x4444
    push dword 0x3333
    push dword 0x2222
    push dword 0x1111
    push dword 0x2000
    push dword 0x800
    push dword 0x23202
    push dword 0
    push dword v86hlt
    iretd
TEST ; VME
    mov eax,cr4
    or al,1
    mov cr4,eax
    push dword 0x4444
    push dword 0x3333
    push dword 0x2222
    push dword 0x1111
    push dword 0x2000
    push dword 0x800
    push dword 0x20002
    push dword 0
    push dword v86cli
    iretd
TEST ; single step
    pushfd
    or dword [esp],0x100
    popfd
    nop
    nop
TEST ; data breakpoint
    mov eax,0x5004
    mov dr0,eax
    mov eax,0x000d0402
    mov dr7,eax
    mov [0x5006],al
    nop
TEST ; code breakpoint
    mov eax,.a
    mov dr1,eax
    mov eax,0x00000408
    mov dr7,eax
    nop
.a: nop
TEST ; general detect
    mov eax,0x2400
    mov dr7,eax
    mov eax,dr0
TEST ; icebp
    RING3 .a, 2
.a: db 0xf1
TEST
    mov byte [idt+3*8+5],0x8e
    RING3 .a, 2
.a: int3
TEST
    RING3 .a, 2
.a: mov al,0x7f
    add al,1
    into
TEST ; bound
    mov dword [0x5000],1
    mov dword [0x5004],5
    mov eax,6
    bound eax,[0x5000]
TEST ; div
    xor ecx,ecx
    div ecx
TEST ; ud
    db 0x0f,0x0b
TEST ; arpl, lar, lsl
    mov ax,DATA3
    lar ebx,ax
    lsl ecx,ax
    OK
TEST
    mov ax,TSSB
    lar ebx,ax
    lsl ecx,ax
    OK
TEST
    mov ax,GATE
    lar ebx,ax
    lsl ecx,ax
    OK
TEST
    RING3 .a,2
.a: mov ax,DATA0
    lar ebx,ax
    verr ax
    OK
TEST
    mov ax,XONLY
    verr ax
    OK
TEST
    mov ax,RDONLY
    verw ax
    OK
TEST
    mov ax,DATA0
    mov bx,3
    arpl ax,bx
    OK
TEST
    mov ax,TSSA
    ltr ax
TEST
    mov ax,DATA0
    lldt ax
TEST
    mov ax,0
    ltr ax
TEST
    RING3 .a,2
.a: lgdt [gdtr]
TEST
    RING3 .a,2
.a: mov eax,cr0
TEST
    mov eax,cr0
    or eax,8
    mov cr0,eax
    xor eax,eax
    fld1
TEST
    mov eax,cr0
    or eax,10
    mov cr0,eax
    xor eax,eax
    wait
TEST
    mov eax,cr0
    or eax,4
    mov cr0,eax
    xor eax,eax
    fld1
TEST ; mov ss then fault
    mov ax,DATA0
    mov ss,ax
    db 0x0f,0x0b
TEST ; ss:esp task in 16-bit stack popping 16 ss
    RING3 .a,2
.a: lss esp,[.p]
    OK
.p: dd 0x500
    dw STK16
TEST ; iret to 16-bit code segment ring 0
    push dword 2
    push dword CODE16
    push dword .a
    iretd
bits 16
.a: int 0x30
bits 32
TEST ; 16 bit operand iret
    push word 2
    push word CODE0
    push word .a
    iretw
.a: OK
TEST
    push word CODE0
    push word .a
    o16 retf
.a: OK
TEST
    o16 call CODE0:.a
.a: OK
TEST ; double fault by missing gate
    mov dword [idt+13*8+4],0
    mov ax,XONLY
    mov ds,ax
TEST ; #NP via missing NP
    mov dword [idt+11*8+4],0
    mov ax,ABSENT
    mov ds,ax
TEST ; UD with absent gate: NP
    mov dword [idt+6*8+4],0x0e00
    db 0x0f,0x0b
TEST ; lock
    db 0xf0
    nop
TEST ; double fault via task gate
    mov dword [idt+13*8+4],0
    mov dword [idt+8*8],TSSB<<16
    mov dword [idt+8*8+4],0xe500
    mov ax,XONLY
    mov ds,ax
TEST ; conforming dpl3 from ring0
    jmp CONF3:.a
.a: OK
TEST ; popf at ring3 cannot change IF/IOPL
    RING3 .a,2
.a: push dword 0x3302|0x4000
    popfd
    pushfd
    pop ebx
    OK
TEST
    push dword 0x3f7fd7
    popfd
    pushfd
    pop ebx
    push dword 2
    popfd
    OK
TEST
    sysenter
TEST
    mov eax,cr0
    and eax,~0xe0000000
    or eax,0x20000000
    mov cr0,eax
TEST
    mov eax,0x80000000
    mov cr0,eax
TEST
    mov eax,0xffffffff
    mov cr4,eax
PROTECTED_DATA
