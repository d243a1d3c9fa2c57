; SPDX-License-Identifier: MIT
; A boot sector and what it loads: lets instructions and transfers of all kinds run into absent and
; read-only pages, and prints through port E9h what state the page fault found: an instruction has
; happened wholly or not at all.  pagefaults.expect is what a CPU of the P6 family says.
; Assembled with nasm.
;
; Page faults go to a task of their own, which prints the error code, CR2 and all registers that the
; switch saved; other vectors print the top of their stack and registers.
%define SECTORS 30
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
    mov edi,0x50000
    mov ecx,1024
    rep stosd
    mov dword [0x50000],0x51007
    mov eax,0x50000
    mov cr3,eax
    mov edi,0x51000
    mov eax,7
.pt: stosd
    add eax,0x1000
    cmp edi,0x52000
    jb .pt
    mov eax,cr0
    or eax,0x80010000
    mov cr0,eax
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
    mov eax,cr0
    or eax,0x10000
    mov cr0,eax
    mov edi,0x51000     ; every page is there
    mov ecx,0x80
.pg: or dword [edi],7
    add edi,4
    loop .pg
    mov eax,cr3
    mov cr3,eax
    mov edi,0x60000
    mov ecx,0x1800
    mov eax,0x11110001
.fl: stosd
    add eax,0x00010003
    loop .fl
    mov edi,0x2ff00     ; the inner stacks' tops, and the others'
    mov ecx,128
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
    mov dword [idt+14*8],TSSB<<16
    mov dword [idt+14*8+4],0xe500
    mov dword [tssb+0x20],page_fault
    mov dword [tssb+0x1c],0x50000
    mov dword [tssa+0x1c],0x50000
    fninit
    popad
    ret

; The page fault's task: its stack holds the error code.
page_fault:
    clts
    mov al,'P'
    out 0xe9,al
    mov al,' '
    out 0xe9,al
    pop eax
    call hex32
    mov eax,cr2
    call hex32
    mov ebx,tssa+0x20
    mov ecx,10
.r: mov eax,[ebx]
    call hex32
    add ebx,4
    loop .r
    mov al,10
    out 0xe9,al
    mov ebx,tssa+0x48
    mov ecx,7
.s: movzx eax,word [ebx]
    call hex32
    add ebx,4
    loop .s
    movzx eax,word [tssb]
    call hex32
    str ax
    movzx eax,ax
    call hex32
    sub esp,108
    fnsave [esp]
    movzx eax,word [esp+4]
    call hex32
    movzx eax,word [esp+8]
    call hex32
    add esp,108
    mov al,10
    out 0xe9,al
    ; what memory around the borders of pages holds now
    mov ebx,0x60fe0
    call line
    mov ebx,0x62fe0
    call line
    mov ebx,0x64fe0
    call line
    mov ebx,0x2ffe0
    call line
    mov eax,[gdt+TSSA+4]
    call hex32
    mov eax,[gdt+DATA3-3+4]
    call hex32
    mov al,10
    out 0xe9,al
    pushfd
    and dword [esp],~0x4000
    popfd
    mov esp,0x20000
    mov esi,[testptr]
    jmp next
line:
    mov ecx,8
.l: mov eax,[ebx]
    call hex32
    add ebx,4
    loop .l
    mov al,10
    out 0xe9,al
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

; pages of the test area: absent, read-only, the kernel's
%macro ABSENTPAGE 1
    and dword [0x51000+%1*4],~1
    invlpg [%1*0x1000]
%endmacro
%macro READONLYPAGE 1
    and dword [0x51000+%1*4],~2
    invlpg [%1*0x1000]
%endmacro
%macro KERNELPAGE 1
    and dword [0x51000+%1*4],~4
    invlpg [%1*0x1000]
%endmacro
%macro OK 0
    int 0x30
%endmacro
; go to ring 3 at %1 with flags %2
%macro RING3 2
    mov ax,DATA3
    mov ds,ax
    mov es,ax
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

TEST
    ABSENTPAGE 0x61
    mov eax,0x1234
    mov eax,[0x60ffe]
    OK
TEST
    ABSENTPAGE 0x61
    mov eax,0x1234
    mov [0x60ffe],eax
    OK
TEST
    ABSENTPAGE 0x61
    mov eax,0x1234
    add [0x60ffe],eax
    OK
TEST
    ABSENTPAGE 0x61
    mov eax,0x1234
    add eax,[0x60ffe]
    OK
TEST
    ABSENTPAGE 0x61
    mov eax,0x1234
    inc dword [0x60ffd]
    OK
TEST
    ABSENTPAGE 0x61
    mov eax,0x1234
    xchg eax,[0x60ffe]
    OK
TEST
    ABSENTPAGE 0x61
    mov eax,0x1234
    push dword [0x60ffe]
    OK
TEST
    ABSENTPAGE 0x61
    mov eax,0x1234
    not dword [0x60fff]
    OK
TEST
    ABSENTPAGE 0x61
    mov eax,0x1234
    shl dword [0x60ffe],3
    OK
TEST
    ABSENTPAGE 0x61
    mov eax,0x1234
    cmpxchg [0x60ffe],eax
    OK
TEST
    ABSENTPAGE 0x61
    mov eax,0x1234
    cmpxchg8b [0x60ffc]
    OK
TEST
    ABSENTPAGE 0x61
    mov eax,0x1234
    xadd [0x60ffe],ecx
    OK
TEST
    ABSENTPAGE 0x61
    mov eax,0x1234
    bts [0x60ffe],eax
    OK
TEST
    ABSENTPAGE 0x61
    mov eax,0x1234
    imul eax,[0x60ffe]
    OK
TEST
    ABSENTPAGE 0x61
    mov eax,0x1234
    movzx eax,word [0x60fff]
    OK
TEST
    ABSENTPAGE 0x61
    mov eax,0x1234
    pop dword [0x60ffe]
    OK
TEST
    ABSENTPAGE 0x61
    mov eax,0x1234
    setz [0x61000]
    OK
TEST
    ABSENTPAGE 0x61
    mov eax,0x1234
    call [0x60ffe]
    OK
TEST
    ABSENTPAGE 0x61
    mov eax,0x1234
    jmp [0x60ffe]
    OK
TEST
    ABSENTPAGE 0x61
    mov eax,0x1234
    call far [0x60ffc]
    OK
TEST
    ABSENTPAGE 0x61
    mov eax,0x1234
    jmp far [0x60ffc]
    OK
TEST
    ABSENTPAGE 0x61
    mov eax,0x1234
    les eax,[0x60ffb]
    OK
TEST
    ABSENTPAGE 0x61
    mov eax,0x1234
    lss esp,[0x60ffc]
    OK
TEST
    ABSENTPAGE 0x61
    mov eax,0x1234
    lgdt [0x60ffc]
    OK
TEST
    ABSENTPAGE 0x61
    mov eax,0x1234
    sgdt [0x60ffc]
    OK
TEST
    ABSENTPAGE 0x61
    mov eax,0x1234
    bound eax,[0x60ffc]
    OK
TEST
    ABSENTPAGE 0x61
    mov eax,0x1234
    mov ax,[0x60fff]
    OK
TEST
    ABSENTPAGE 0x61
    mov eax,0x1234
    mov fs,[0x60fff]
    OK
TEST
    ABSENTPAGE 0x61
    mov eax,0x1234
    test [0x60ffe],eax
    OK
TEST
    ABSENTPAGE 0x61
    mov eax,0x1234
    cmp eax,[0x60ffe]
    OK
TEST
    ABSENTPAGE 0x61
    mov eax,0x1234
    neg dword [0x60ffd]
    OK
TEST
    ABSENTPAGE 0x61
    mov eax,0x1234
    movsx eax,byte [0x61000]
    OK
TEST
    ABSENTPAGE 0x61
    mov eax,0x1234
    shld [0x60ffe],eax,4
    OK
TEST
    ABSENTPAGE 0x61
    mov eax,0x1234
    sidt [0x60ffe]
    OK
TEST
    ABSENTPAGE 0x61
    mov eax,0x1234
    smsw [0x60fff]
    OK
TEST
    ABSENTPAGE 0x61
    mov eax,0x1234
    str [0x60fff]
    OK
TEST
    ABSENTPAGE 0x61
    mov eax,0x1234
    lldt [0x60fff]
    OK
TEST
    ABSENTPAGE 0x61
    mov eax,0x1234
    ltr [0x60fff]
    OK
TEST
    ABSENTPAGE 0x61
    mov eax,0x1234
    invlpg [0x61000]
    OK
TEST
    READONLYPAGE 0x63
    mov eax,0x1234
    mov [0x62ffe],eax
    OK
TEST
    READONLYPAGE 0x63
    mov eax,0x1234
    add [0x62ffe],eax
    OK
TEST
    READONLYPAGE 0x63
    mov eax,0x1234
    cmpxchg [0x62ffe],ecx
    OK
TEST
    READONLYPAGE 0x63
    mov eax,0x1234
    cmpxchg8b [0x62ffc]
    OK
TEST
    READONLYPAGE 0x63
    mov eax,0x1234
    xadd [0x63000],ecx
    OK
TEST
    READONLYPAGE 0x63
    mov eax,0x1234
    pop dword [0x62ffe]
    OK
TEST
    READONLYPAGE 0x63
    mov eax,0x1234
    bt [0x62ffe],eax
    OK
TEST
    READONLYPAGE 0x63
    mov eax,0x1234
    btr [0x62ffe],eax
    OK
TEST
    READONLYPAGE 0x63
    mov eax,0x1234
    sgdt [0x62ffc]
    OK
TEST
    READONLYPAGE 0x63
    mov eax,0x1234
    test [0x62ffe],eax
    OK
TEST
    READONLYPAGE 0x63
    mov eax,0x1234
    adc dword [0x62ffd],1
    OK
TEST
    READONLYPAGE 0x63
    mov eax,0x1234
    rol dword [0x62ffd],1
    OK
TEST
    READONLYPAGE 0x63
    mov eax,0x1234
    setc [0x63000]
    OK
TEST
    READONLYPAGE 0x63
    mov eax,0x1234
    fnstcw [0x62fff]
    OK
TEST
    READONLYPAGE 0x63
    mov eax,0x1234
    fnstenv [0x62ff0]
    OK
TEST
    READONLYPAGE 0x63
    mov eax,0x1234
    fnsave [0x62fa0]
    OK
TEST
    READONLYPAGE 0x63
    mov eax,0x1234
    xchg [0x62ffe],eax
    OK
TEST
    ABSENTPAGE 0x61
    mov esi,0x60ff5
    mov edi,0x64ff0
    mov ecx,40
    xor eax,eax
    rep movsb
    OK
TEST
    ABSENTPAGE 0x61
    mov edi,0x60ff5
    mov esi,0x60ff5
    add esi,0x3ff0
    mov ecx,40
    mov eax,0x77
    rep movsb
    OK
TEST
    ABSENTPAGE 0x61
    mov esi,0x60ff5
    mov edi,0x64ff0
    mov ecx,40
    xor eax,eax
    rep movsd
    OK
TEST
    ABSENTPAGE 0x61
    mov edi,0x60ff5
    mov esi,0x60ff5
    add esi,0x3ff0
    mov ecx,40
    mov eax,0x77
    rep movsd
    OK
TEST
    ABSENTPAGE 0x61
    mov esi,0x60ff5
    mov edi,0x64ff0
    mov ecx,40
    xor eax,eax
    rep stosd
    OK
TEST
    ABSENTPAGE 0x61
    mov edi,0x60ff5
    mov esi,0x60ff5
    add esi,0x3ff0
    mov ecx,40
    mov eax,0x77
    rep stosd
    OK
TEST
    ABSENTPAGE 0x61
    mov esi,0x60ff5
    mov edi,0x64ff0
    mov ecx,40
    xor eax,eax
    rep lodsb
    OK
TEST
    ABSENTPAGE 0x61
    mov edi,0x60ff5
    mov esi,0x60ff5
    add esi,0x3ff0
    mov ecx,40
    mov eax,0x77
    rep lodsb
    OK
TEST
    ABSENTPAGE 0x61
    mov esi,0x60ff5
    mov edi,0x64ff0
    mov ecx,40
    xor eax,eax
    repne scasb
    OK
TEST
    ABSENTPAGE 0x61
    mov edi,0x60ff5
    mov esi,0x60ff5
    add esi,0x3ff0
    mov ecx,40
    mov eax,0x77
    repne scasb
    OK
TEST
    ABSENTPAGE 0x61
    mov esi,0x60ff5
    mov edi,0x64ff0
    mov ecx,40
    xor eax,eax
    repe cmpsb
    OK
TEST
    ABSENTPAGE 0x61
    mov edi,0x60ff5
    mov esi,0x60ff5
    add esi,0x3ff0
    mov ecx,40
    mov eax,0x77
    repe cmpsb
    OK
TEST
    READONLYPAGE 0x63
    mov edi,0x62ff3
    mov esi,0x64000
    mov ecx,9
    rep movsd
    OK
TEST
    ABSENTPAGE 0x61
    std
    mov edi,0x62003
    mov esi,0x64100
    mov ecx,40
    rep movsd
    OK
TEST
    ABSENTPAGE 0x61
    mov esi,0x60ffe
    mov dx,0x80
    mov ecx,4
    rep outsb
    OK
TEST
    ABSENTPAGE 0x61
    mov esp,0x62004
    mov ebp,0x64100
    pushad
    pushad
    OK
TEST
    ABSENTPAGE 0x61
    mov esp,0x62004
    mov ebp,0x64100
    push eax
    push eax
    OK
TEST
    ABSENTPAGE 0x61
    mov esp,0x62004
    mov ebp,0x64100
    pushfd
    pushfd
    OK
TEST
    ABSENTPAGE 0x61
    mov esp,0x62004
    mov ebp,0x64100
    enter 16,0
    enter 16,0
    OK
TEST
    ABSENTPAGE 0x61
    mov esp,0x62004
    mov ebp,0x64100
    enter 8,3
    enter 8,3
    OK
TEST
    ABSENTPAGE 0x61
    mov esp,0x62004
    mov ebp,0x64100
    call near .x
.x: nop
    call near .y
.y: nop
    OK
TEST
    ABSENTPAGE 0x61
    mov esp,0x62004
    mov ebp,0x64100
    call CODE0:.x
.x: nop
    call CODE0:.y
.y: nop
    OK
TEST
    ABSENTPAGE 0x61
    mov esp,0x62004
    mov ebp,0x64100
    push fs
    push fs
    OK
TEST
    ABSENTPAGE 0x61
    mov esp,0x62004
    mov ebp,0x64100
    push dword 5
    push dword 5
    OK
TEST
    ABSENTPAGE 0x61
    mov esp,0x62004
    mov ebp,0x64100
    o16 pusha
    o16 pusha
    OK
TEST
    ABSENTPAGE 0x61
    mov esp,0x60ffc
    mov ebp,0x60ffe
    mov dword [0x60ffc],DATA0
    popad
    OK
TEST
    ABSENTPAGE 0x61
    mov esp,0x60ffc
    mov ebp,0x60ffe
    mov dword [0x60ffc],DATA0
    pop eax
    OK
TEST
    ABSENTPAGE 0x61
    mov esp,0x60ffc
    mov ebp,0x60ffe
    mov dword [0x60ffc],DATA0
    popfd
    OK
TEST
    ABSENTPAGE 0x61
    mov esp,0x60ffc
    mov ebp,0x60ffe
    mov dword [0x60ffc],DATA0
    ret
    OK
TEST
    ABSENTPAGE 0x61
    mov esp,0x60ffc
    mov ebp,0x60ffe
    mov dword [0x60ffc],DATA0
    retf
    OK
TEST
    ABSENTPAGE 0x61
    mov esp,0x60ffc
    mov ebp,0x60ffe
    mov dword [0x60ffc],DATA0
    iretd
    OK
TEST
    ABSENTPAGE 0x61
    mov esp,0x60ffc
    mov ebp,0x60ffe
    mov dword [0x60ffc],DATA0
    leave
    OK
TEST
    ABSENTPAGE 0x61
    mov esp,0x60ffc
    mov ebp,0x60ffe
    mov dword [0x60ffc],DATA0
    pop ds
    OK
TEST
    ABSENTPAGE 0x61
    mov esp,0x60ffc
    mov ebp,0x60ffe
    mov dword [0x60ffc],DATA0
    pop ss
    OK
TEST
    ABSENTPAGE 0x61
    mov esp,0x60ffc
    mov ebp,0x60ffe
    mov dword [0x60ffc],DATA0
    pop dword [0x64000]
    OK
TEST
    ABSENTPAGE 0x61
    mov esp,0x60ffc
    mov ebp,0x60ffe
    mov dword [0x60ffc],DATA0
    retf 8
    OK
TEST
    ABSENTPAGE 0x61
    mov esp,0x60ffc
    mov ebp,0x60ffe
    mov dword [0x60ffc],DATA0
    ret 4
    OK
TEST
    ABSENTPAGE 0x61
    mov esp,0x60ff8
    mov dword [0x60ff8],.a
    mov dword [0x60ffc],CODE3
    retf
.a: OK
TEST
    ABSENTPAGE 0x61
    mov esp,0x60ff4
    mov dword [0x60ff4],.a
    mov dword [0x60ff8],CODE3
    mov dword [0x60ffc],2
    iretd
.a: OK
TEST
    ABSENTPAGE 0x61
    mov esp,0x60ff4
    mov dword [0x60ff4],0
    mov dword [0x60ff8],0x6000
    mov dword [0x60ffc],0x23002
    iretd
.a: OK
TEST
    ABSENTPAGE 0x2f
    RING3 .a,2
.a: int 0x30
TEST
    ABSENTPAGE 0x2f
    mov dword [tssa+4],0x3000c
    RING3 .a,2
.a: int 0x30
TEST
    ABSENTPAGE 0x2f
    mov dword [tssa+4],0x3000c
    RING3 .a,2
.a: call GATE:0
TEST
    READONLYPAGE 0x2f
    mov dword [tssa+4],0x30010
    RING3 .a,2
.a: call CGATE16:0
TEST
    READONLYPAGE 0x2f
    RING3 .a,0x3202
.a: hlt
TEST
    KERNELPAGE 0x61
    RING3 .a,2
.a: mov eax,[0x60ffe]
    OK
TEST
    KERNELPAGE 0x61
    RING3 .a,2
.a: mov [0x60ffe],eax
    OK
TEST
    READONLYPAGE 0x61
    RING3 .a,2
.a: mov [0x60ffe],eax
    OK
TEST
    KERNELPAGE 0x27
    RING3 .a,2
.a: push eax
    OK
TEST
    KERNELPAGE 0x27
    RING3 .a,2
.a: int 0x30
TEST
    KERNELPAGE 0x27
    RING3 .a,2
.a: call GATE:0
    OK
TEST
    KERNELPAGE 0x61
    RING3 .a,2
.a: jmp 0x61000
TEST
    ABSENTPAGE 0x61
    jmp 0x61000
TEST
    ABSENTPAGE 0x61
    mov dword [0x60ffe],0x000081
    jmp 0x60ffd
TEST
    ABSENTPAGE 0x61
    mov word [0x60ffe],0x05c7
    jmp 0x60ffe
TEST
    READONLYPAGE 0x63
    mov eax,cr0
    and eax,~0x10000
    mov cr0,eax
    mov [0x62ffe],eax
    xor eax,eax
    OK
TEST
    mov esi,gdt
    mov edi,0x60f90
    mov ecx,0x40
    rep movsd
    mov word [0x64000],0xff
    mov dword [0x64002],0x60f90
    lgdt [0x64000]
    ABSENTPAGE 0x61
    mov ax,GATE+0x30
    mov es,ax
    OK
TEST
    mov esi,gdt
    mov edi,0x60f90
    mov ecx,0x40
    rep movsd
    mov word [0x64000],0xff
    mov dword [0x64002],0x60f90
    lgdt [0x64000]
    ABSENTPAGE 0x61
    mov ax,ABSENT
    mov ss,ax
    OK
TEST
    mov esi,gdt
    mov edi,0x60f90
    mov ecx,0x40
    rep movsd
    mov word [0x64000],0xff
    mov dword [0x64002],0x60f90
    lgdt [0x64000]
    mov byte [0x60f90+DATA3-3+5],0xf2
    READONLYPAGE 0x60
    mov ax,DATA3
    mov es,ax
    OK
TEST
    mov esi,gdt
    mov edi,0x60f90
    mov ecx,0x40
    rep movsd
    mov word [0x64000],0xff
    mov dword [0x64002],0x60f90
    lgdt [0x64000]
    mov byte [0x60f90+CONF+5],0x9e
    READONLYPAGE 0x60
    call CONF:.a
.a: OK
TEST
    mov dword [tssb+0x60],0
    ABSENTPAGE 0x61
    mov word [0x64000],0x1ff
    mov dword [0x64002],0x60f80
    mov esi,idt
    mov edi,0x60f80
    mov ecx,0x20
    rep movsd
    lidt [0x64000]
    int 0x20
    OK
TEST
    mov esi,tssc
    mov edi,0x60ff0
    mov ecx,4
    rep movsd
    mov word [gdt+TSSC+2],0x0ff0
    mov byte [gdt+TSSC+4],6
    ABSENTPAGE 0x61
    jmp TSSC:0
    OK
TEST
    mov edi,0x60ff0
    mov word [gdt+TSSC+2],0x0ff0
    mov byte [gdt+TSSC+4],6
    READONLYPAGE 0x60
    call TSSC:0
    OK
TEST
    ABSENTPAGE 0x61
    fld1
    fldpi
    fstp tword [0x60ff8]
    OK
TEST
    ABSENTPAGE 0x61
    fld1
    fldpi
    fstp qword [0x60ffc]
    OK
TEST
    ABSENTPAGE 0x61
    fld1
    fldpi
    fst dword [0x60ffe]
    OK
TEST
    ABSENTPAGE 0x61
    fld1
    fldpi
    fistp qword [0x60ffc]
    OK
TEST
    ABSENTPAGE 0x61
    fld1
    fldpi
    fistp word [0x60fff]
    OK
TEST
    ABSENTPAGE 0x61
    fld1
    fldpi
    fbstp [0x60ff8]
    OK
TEST
    ABSENTPAGE 0x61
    fld1
    fldpi
    fld qword [0x60ffc]
    OK
TEST
    ABSENTPAGE 0x61
    fld1
    fldpi
    fild dword [0x60ffe]
    OK
TEST
    ABSENTPAGE 0x61
    fld1
    fldpi
    fadd qword [0x60ffc]
    OK
TEST
    ABSENTPAGE 0x61
    fld1
    fldpi
    fnsave [0x60fa0]
    OK
TEST
    ABSENTPAGE 0x61
    fld1
    fldpi
    frstor [0x60fa0]
    OK
TEST
    ABSENTPAGE 0x61
    fld1
    fldpi
    fldenv [0x60ff0]
    OK
TEST
    ABSENTPAGE 0x61
    fld1
    fldpi
    fnstenv [0x60ff0]
    OK
TEST
    ABSENTPAGE 0x61
    fld1
    fldpi
    fnstsw [0x60fff]
    OK
TEST
    ABSENTPAGE 0x61
    fld1
    fldpi
    fldcw [0x60fff]
    OK
TEST
    ABSENTPAGE 0x61
    fld1
    fldpi
    fld tword [0x60ff8]
    OK
TEST
    ABSENTPAGE 0x61
    fld1
    fldpi
    fcomp dword [0x60ffe]
    OK
TEST
    ABSENTPAGE 0x61
    mov eax,cr4
    or eax,0x200
    mov cr4,eax
    fld1
    fldpi
    fxsave [0x60f00]
    OK
TEST
    ABSENTPAGE 0x61
    mov eax,cr4
    or eax,0x200
    mov cr4,eax
    fld1
    fldpi
    fxrstor [0x60f00]
    OK
TEST
    ABSENTPAGE 0x61
    fld1
    fldpi
    movq [0x60ffc],mm0
    OK
TEST
    ABSENTPAGE 0x61
    fld1
    fldpi
    movq mm1,[0x60ffc]
    OK
TEST
    ABSENTPAGE 0x61
    fld1
    fldpi
    movd [0x60ffe],mm0
    OK
TEST
    ABSENTPAGE 0x61
    fld1
    fldpi
    paddb mm0,[0x60ffc]
    OK
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
