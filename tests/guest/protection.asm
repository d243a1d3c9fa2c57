; SPDX-License-Identifier: MIT
; A boot sector and what it loads: goes through protected mode's doors, one test after another, and
; prints through port E9h where each one led and what was pushed.  protection.expect is what a CPU
; of the P6 family says.  Assembled with nasm.
;
; Every vector's handler prints the top of its stack (vector, error code if any, EIP, CS, EFLAGS,
; ESP, SS ...), then registers and selectors, then the task state segments' types and saved
; contexts; then the world is set up afresh and the next test begins.  A test that gets through
; says so by INT 30h.
%define SECTORS 16
bits 16
org 0x7c00
start:
    cli
    xor ax,ax
    mov ds,ax
    mov es,ax
    mov ss,ax
    mov sp,0x7c00
    mov [drive],dl
    mov ah,0x02
    mov al,SECTORS
    mov cx,2
    mov dh,0
    mov bx,0x7e00
    int 0x13
    in al,0x92
    or al,2
    out 0x92,al
    lgdt [gdtr0]
    mov eax,cr0
    or al,1
    mov cr0,eax
    jmp 8:pm
drive: db 0
times 510-($-$$) db 0
dw 0xaa55

bits 32
%define CODE0 8
%define DATA0 0x10
%define CODE3 0x1b
%define DATA3 0x23
%define TSSA 0x28
%define TSSB 0x30
%define TSSC 0x38   ; 16-bit
%define LDTS 0x40
%define GATE 0x48
%define CONF 0x50
%define ABSENT 0x58
%define RDONLY 0x60
%define XONLY 0x68
%define DOWN 0x70
%define CODE16 0x78
%define STK16 0x80
%define TGATE 0x88
%define CODE1 0x91
%define SMALLTSS 0x98
%define CGATE16 0xa0
%define DATA1 0xaa
%define ABSCODE 0xb0
%define ABSGATE 0xb8
%define GATENULL 0xc0
%define GATEDATA 0xc8
%define CONF3 0xd0
%define DATALIM 0xd8
%define TGATEABS 0xe0
%define CODELIM 0xe8

pm:
    mov ax,DATA0
    mov ds,ax
    mov es,ax
    mov ss,ax
    mov esp,0x20000
    mov al,0xff         ; no interrupts
    out 0x21,al
    out 0xa1,al
    mov edi,0x10000     ; stacks are empty at first
    mov ecx,0x30000/4
    xor eax,eax
    rep stosd
    mov esi,tests
next:
    cld
    mov ax,DATA0
    mov ds,ax
    mov es,ax
    mov fs,ax
    mov gs,ax
    call reset_world
    lodsd
    test eax,eax
    jz done
    mov [testptr],esi
    push eax
    mov al,'T'
    out 0xe9,al
    mov eax,esi
    sub eax,tests+4
    shr eax,2
    call hex8n
    mov al,10
    out 0xe9,al
    pop eax
    xor ebx,ebx
    mov ebp,0x1b1b
    mov edi,0x1d1d
    mov esi,0x1e1e
    mov ecx,0x1c1c
    mov edx,0x1212
    mov esp,0x20000
    jmp eax
done:
    mov al,'Z'
    out 0xe9,al
    mov al,10
    out 0xe9,al
    mov dx,0x8900
hang:
    cli
    hlt
    jmp hang

hex32: ; eax
    push ecx
    mov ecx,8
.l: rol eax,4
    push eax
    and al,15
    add al,'0'
    cmp al,'9'
    jbe .o
    add al,39
.o: out 0xe9,al
    pop eax
    loop .l
    mov al,' '
    out 0xe9,al
    pop ecx
    ret
hex8n:
    push ecx
    mov ecx,2
    shl eax,24
    jmp hex32.l

reset_world:
    pushad
    mov edi,0x2ff00     ; the inner stacks' tops, and the others'
    mov ecx,64
    xor eax,eax
    rep stosd
    mov edi,0x37f00
    mov ecx,64
    rep stosd
    mov edi,0x33f00
    mov ecx,64
    rep stosd
    mov edi,0x27f00
    mov ecx,64
    rep stosd
    mov edi,0x1fe00
    mov ecx,64
    rep stosd
    lidt [idtr]
    mov esi,gdt_master
    mov edi,gdt
    mov ecx,(gdt_end-gdt_master)/4
    rep movsd
    lgdt [gdtr]
    ; TSS A
    mov edi,tssa
    mov ecx,0x88/4
    xor eax,eax
    rep stosd
    mov dword [tssa+4],0x30000
    mov dword [tssa+8],DATA0
    mov dword [tssa+12],0x34000
    mov dword [tssa+16],DATA1
    mov word [tssa+0x66],0x68
    mov edi,tssb
    mov ecx,0x68/4
    xor eax,eax
    rep stosd
    mov dword [tssb+4],0x30000
    mov dword [tssb+8],DATA0
    mov dword [tssb+0x20],taskb
    mov dword [tssb+0x24],2
    mov dword [tssb+0x28],0xb0
    mov dword [tssb+0x2c],0xb1
    mov dword [tssb+0x38],0x38000
    mov dword [tssb+0x48],DATA0
    mov dword [tssb+0x4c],CODE0
    mov dword [tssb+0x50],DATA0
    mov dword [tssb+0x54],DATA0
    mov dword [tssb+0x58],DATA3
    mov dword [tssb+0x5c],0
    mov word [tssb+0x66],0x68
    mov edi,tssc
    mov ecx,11
    xor eax,eax
    rep stosd
    mov word [tssc+2],0x3000
    mov word [tssc+4],STK16
    mov word [tssc+0xe],taskb
    mov word [tssc+0x10],2
    mov word [tssc+0x12],0xc0
    mov word [tssc+0x1a],0x6000
    mov word [tssc+0x22],DATA0
    mov word [tssc+0x24],CODE0
    mov word [tssc+0x26],STK16
    mov word [tssc+0x28],DATA0
    mov ax,TSSA
    ltr ax
    xor ax,ax
    lldt ax
    mov ax,DATA0
    mov ds,ax
    mov es,ax
    mov fs,ax
    mov gs,ax
    xor eax,eax
    mov dr7,eax
    mov eax,0xffff0ff0
    mov dr6,eax
    clts
    mov eax,cr4
    and eax,~3
    mov cr4,eax
    mov edi,idt
    xor ebx,ebx
    mov ecx,64
.i: mov eax,stub0
    lea eax,[eax+ebx*8]
    mov [edi],eax
    mov word [edi+2],CODE0
    and eax,0xffff0000
    or eax,0xee00
    mov [edi+4],eax
    add edi,8
    inc ebx
    loop .i
    popad
    ret

; handler stubs, 8 bytes each
align 8
stub0:
%assign i 0
%rep 64
    align 8
    push byte i
    jmp near comm_handler
%assign i i+1
%endrep
    align 8

comm_handler: ; on entry: vector, [code], eip, cs, flags ...
    push eax
    push ds
    mov ax,DATA0
    mov ds,ax
    pop dword [sv_ds]
    pop dword [sv_eax]
    and dword [sv_ds],0xffff
    mov [sv_esp],esp
    mov [sv_ebx],ebx
    mov [sv_edi],edi
    mov [sv_ecx],ecx
    mov eax,es
    mov [sv_es],eax
    mov eax,fs
    mov [sv_fs],eax
    mov eax,ss
    mov [sv_ss],eax
    ; print vector and 11 dwords of stack via ss
    mov ebx,esp
    lar eax,[sv_ss]
    test eax,0x400000
    jnz .w
    movzx ebx,bx
    and dword [sv_esp],0xffff
.w:
    mov ecx,11
.p: mov eax,[ss:ebx]
    call hex32
    add ebx,4
    loop .p
    mov al,10
    out 0xe9,al
    mov ebx,sv_ds
    mov ecx,(sv_end-sv_ds)/4
.q: mov eax,[ebx]
    call hex32
    add ebx,4
    loop .q
    xor eax,eax
    str ax
    call hex32
    sldt ax
    movzx eax,ax
    call hex32
    mov eax,cr0
    and eax,~0x60000000
    call hex32
    mov eax,dr6
    call hex32
    pushfd
    pop eax
    call hex32
    mov al,10
    out 0xe9,al
    ; TSS descriptors' types and saved contexts
    mov eax,[gdt+TSSA+4]
    call hex32
    mov eax,[gdt+TSSB+4]
    call hex32
    mov eax,[gdt+TSSC+4]
    call hex32
    mov eax,[tssa]
    call hex32
    mov eax,[tssa+0x20]
    call hex32
    mov eax,[tssa+0x24]
    call hex32
    mov eax,[tssa+0x38]
    call hex32
    mov eax,[tssa+0x4c]
    call hex32
    mov eax,[tssa+0x54]
    call hex32
    mov eax,[tssb]
    call hex32
    mov eax,[tssb+0x20]
    call hex32
    mov eax,[tssb+0x24]
    call hex32
    mov eax,[tssc]
    call hex32
    mov eax,[tssc+0xe]
    call hex32
    mov al,10
    out 0xe9,al
    ; back to a known state
    cli
    mov ax,DATA0
    mov ss,ax
    mov esp,0x20000
    push dword 2
    popfd
    mov esi,[testptr]
    jmp next

; what task B does: announces itself by int 0x31
taskb:
    int 0x31

%macro OK 0
    int 0x30
%endmacro
; go to ring 3 at %1 with flags %2
%macro RING3 2
    push dword DATA3
    push dword 0x28000
    push dword %2
    push dword CODE3
    push dword %1
    iretd
%endmacro
%macro RING1 1
    push dword DATA1
    push dword 0x24000
    push dword 2
    push dword CODE1
    push dword %1
    iretd
%endmacro
%assign tn 0
%macro TEST 0
t %+ tn:
%assign tn tn+1
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
bits 16
v86code:
    int 0x21
v86hlt:
    hlt
v86cli:
    cli
    pushf
    pop ax
    sti
    pushf
    pop bx
    int 0x22
bits 32
    align 4
tests:
%assign k 0
%rep tn
    dd t %+ k
%assign k k+1
%endrep
    dd 0
testptr: dd 0
sv_ds: dd 0
sv_eax: dd 0
sv_esp: dd 0
sv_ebx: dd 0
sv_edi: dd 0
sv_ecx: dd 0
sv_es: dd 0
sv_fs: dd 0
sv_ss: dd 0
sv_end:
gdtr0: dw gdt_end-gdt_master-1
    dd gdt_master
gdtr: dw gdt_end-gdt_master-1
    dd gdt
idtr: dw 64*8-1
    dd idt
align 8
gdt_master:
    dq 0
    dq 0x00cf9b000000ffff ; 08
    dq 0x00cf93000000ffff ; 10
    dq 0x00cffb000000ffff ; 18
    dq 0x00cff3000000ffff ; 20
    dw 0x87,tssa
    db 0,0x89,0,0
    dw 0x67,tssb
    db 0,0x89,0,0
    dw 0x2b,tssc
    db 0,0x81,0,0
    dq 0x000082000f0000ff ; 40 ldt
    dw gatehere,CODE0     ; 48 gate 2 params dpl3
    dw 0xec02,0
    dq 0x00cf9f000000ffff ; 50 conforming
    dq 0x00cf13000000ffff ; 58 absent
    dq 0x00cf91000000ffff ; 60 ro
    dq 0x00cf99000000ffff ; 68 xonly
    dq 0x0040970000004fff ; 70 down
    dq 0x00009b000000ffff ; 78 code16
    dq 0x000093000000ffff ; 80 stk16
    dw 0,TSSB             ; 88 task gate
    dw 0xe500,0
    dq 0x00cfbb000000ffff ; 90 code1
    dw 0x66,tssb          ; 98 small tss
    db 0,0x89,0,0
    dw gatehere,CODE0     ; a0 16-bit gate 1 param
    dw 0xe401,0
    dq 0x00cfb3000000ffff ; a8 data1
    dq 0x00cf1b000000ffff ; b0 absent code
    dw gatehere,CODE0     ; b8 absent gate
    dw 0x6c00,0
    dw gatehere,0         ; c0
    dw 0xec00,0
    dw gatehere,DATA0     ; c8
    dw 0xec00,0
    dq 0x00cfff000000ffff ; d0 conforming dpl 3
    dq 0x0040930000000fff ; d8 data limit fff
    dw 0,TSSB             ; e0 absent task gate
    dw 0x6500,0
    dq 0x00409b0000000fff ; e8 code limit fff
gdt_end:
gatehere:
    int 0x36
align 8
gdt: times 0x100 db 0
tssa: times 0x90 db 0
tssb: times 0x70 db 0
tssc: times 0x40 db 0
idt: times 64*8 db 0
times 512*SECTORS+512-($-$$) db 0
