; SPDX-License-Identifier: MIT
; Lets instructions and transfers of all kinds run into absent and read-only pages, and prints through
; port E9h what state the page fault found: an instruction has happened wholly or not at all.
; pagefaults.expect is what a CPU of the P6 family says, and Bochs but for what stands in oracle.py.
; Assembled with nasm.
;
; Page faults go to a task of their own, which prints the error code, CR2 and all registers that the
; switch saved; other vectors print the top of their stack and registers.
%define SECTORS 30
%macro WORLD_BEGIN 0
    mov edi,0x50000
    mov ecx,1024
    rep stosd
    mov dword [0x50000],0x51007
    mov eax,0x50000
    mov cr3,eax
    mov edi,0x51000
    mov eax,7
%%pt: stosd
    add eax,0x1000
    cmp edi,0x52000
    jb %%pt
    mov eax,cr0
    or eax,0x80010000
    mov cr0,eax
%endmacro
%macro WORLD_PAGES 0
    mov eax,cr0
    or eax,0x10000
    mov cr0,eax
    mov edi,0x51000     ; every page is there
    mov ecx,0x80
%%pg: or dword [edi],7
    add edi,4
    loop %%pg
    mov eax,cr3
    mov cr3,eax
    mov edi,0x60000
    mov ecx,0x1800
    mov eax,0x11110001
%%fl: stosd
    add eax,0x00010003
    loop %%fl
%endmacro
%macro WORLD_END 0
    mov dword [idt+14*8],TSSB<<16
    mov dword [idt+14*8+4],0xe500
    mov dword [tssb+0x20],page_fault
    mov dword [tssb+0x1c],0x50000
    mov dword [tssa+0x1c],0x50000
    fninit
%endmacro
; The page fault's task: its stack holds the error code.
%macro WORLD_CODE 0
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
%endmacro
%include "protected.inc"

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
PROTECTED_DATA
