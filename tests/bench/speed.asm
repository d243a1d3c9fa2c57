; SPDX-License-Identifier: MIT
; The bench guest: a boot sector and what it loads.  It goes to flat 32-bit protected mode and runs
; one measurement after another.  Each prints "<name\n" through port E9h, works, and prints
; "=hash\n"; whoever started the guest takes the time between the two.  The hash covers all that was
; computed, so that a wrong result does not pass for a fast one.  Assembled with nasm; speed.py
; builds it, knows the work of each measurement and compares.
;
; Memory: code at 7C00h, stacks below 90000h, page tables at 100000h, data from 1000000h.
%define SECTORS 40
%define PDIR 0x100000
%define PDIR2 0x101000
%define PTAB 0x102000           ; maps 0 to 4 MiB, and again at 40000000h
%define PTAB2 0x103000
%define DATA 0x1000000
%define CODE0 8
%define DATA0 0x10
%define CODE3 0x1b
%define DATA3 0x23
%define TSS 0x28
%include "boot.inc"
%include "pics.inc"
    BOOT_SECTORS SECTORS,gdtr,CODE0,pm

pm:
    mov ax,DATA0
    mov ds,ax
    mov es,ax
    mov fs,ax
    mov gs,ax
    mov ss,ax
    mov esp,0x80000
    cld
    call set_up
    mov esi,list
.next:
    lodsd
    test eax,eax
    jz .done
    push esi
    push eax
    mov al,'<'
    out 0xe9,al
    call text
    pop eax
    call run
    mov al,'='
    out 0xe9,al
    mov eax,edx
    call hex
    pop esi
.skip:                          ; over the name
    lodsb
    test al,al
    jnz .skip
    jmp .next
.done:
    mov al,'>'
    out 0xe9,al
    mov al,10
    out 0xe9,al
    hlt
    jmp .done

; Runs eax with known registers; it answers in edx.
run:
    mov edi,eax
    xor eax,eax
    xor ebx,ebx
    xor ecx,ecx
    xor edx,edx
    xor ebp,ebp
    push .back
    push edi
    xor edi,edi
    xor esi,esi
    ret
.back:
    ret

text:                           ; esi up to its zero, and a line's end
    mov esi,[esp+8]
.loop:
    lodsb
    test al,al
    jz .end
    out 0xe9,al
    jmp .loop
.end:
    mov al,10
    out 0xe9,al
    ret

hex:                            ; eax, and a line's end
    mov ecx,8
.loop:
    rol eax,4
    push eax
    and al,15
    add al,'0'
    cmp al,'9'
    jbe .put
    add al,'a'-'9'-1
.put:
    out 0xe9,al
    pop eax
    loop .loop
    mov al,10
    out 0xe9,al
    ret

; Interrupts, the task's stack, page tables, the timer and the serial port silent.
set_up:
    PICS_MASKED
    mov edi,idt
    mov ecx,256
.gate:
    mov eax,stray
    mov [edi],ax
    mov word [edi+2],CODE0
    mov word [edi+4],0xee00
    shr eax,16
    mov [edi+6],ax
    add edi,8
    loop .gate
    mov eax,fault
    mov [idt+14*8],ax
    shr eax,16
    mov [idt+14*8+6],ax
    mov eax,serial
    mov [idt+0x24*8],ax
    shr eax,16
    mov [idt+0x24*8+6],ax
    mov eax,call_gate
    mov [idt+0x80*8],ax
    shr eax,16
    mov [idt+0x80*8+6],ax
    lidt [idtr]
    mov dword [tss+4],0x88000
    mov dword [tss+8],DATA0
    mov ax,TSS
    ltr ax
    mov edi,PTAB
    mov eax,7
    mov ecx,1024
.page:
    mov [edi],eax
    mov [edi+0x1000],eax
    add edi,4
    add eax,0x1000
    loop .page
    mov edi,PDIR                ; 4 MiB by the table, the rest by large pages
    mov eax,0x87
    mov ecx,1024
.large:
    mov [edi],eax
    mov [edi+0x1000],eax
    add edi,4
    add eax,0x400000
    loop .large
    mov dword [PDIR],PTAB+7
    mov dword [PDIR+0x400],PTAB+7
    mov dword [PDIR2],PTAB+7
    mov dword [PDIR2+0x400],PTAB2+7
    mov eax,cr4
    or al,0x10
    mov cr4,eax
    mov eax,PDIR
    mov cr3,eax
    fninit
    mov eax,1
    xor ebx,ebx
    cpuid
    mov [cpu_edx],edx
    ret

%macro paging 1
    mov eax,cr0
%if %1
    or eax,0x80000000
%else
    and eax,0x7fffffff
%endif
    mov cr0,eax
%endmacro

; -- integer: 16 instructions a round, of many kinds, each waiting for others --
integer:
    mov ecx,8000000
    mov edx,0x12345678
.loop:
    mov eax,edx
    shl eax,13
    xor edx,eax
    mov eax,edx
    shr eax,17
    xor edx,eax
    lea ebx,[edx+edx*4+7]
    rol ebx,5
    add esi,ebx
    adc edi,edx
    movzx ebp,bl
    sub esi,ebp
    and ebx,0xff0f0f
    or edx,ebx
    dec ecx
    jnz .loop
    xor edx,esi
    xor edx,edi
    ret

; -- branch: one in two is taken, by chance; 11.5 instructions a round --
branch:
    mov ecx,8000000
    mov edx,0x2545f491
.loop:
    imul edx,edx,1664525
    add edx,1013904223
    test edx,0x10000
    jz .a
    inc esi
.a:
    test edx,0x200000
    jnz .b
    add edi,3
.b:
    cmp edx,esi
    jb .c
    inc ebx
.c:
    dec ecx
    jnz .loop
    xor edx,esi
    xor edx,edi
    xor edx,ebx
    ret

; -- call: Fibonacci's 30th by recursion: 1346269 ends, 14 instructions each round --
calls:
    mov eax,30
    call .fib
    mov edx,eax
    ret
.fib:
    cmp eax,2
    jb .one
    push ebx
    mov ebx,eax
    dec eax
    call .fib
    push eax
    lea eax,[ebx-2]
    call .fib
    pop ebx
    add eax,ebx
    pop ebx
    ret
.one:
    mov eax,1
    ret

; -- memory: reads, writes and changes words all over a working set; 8 instructions a round --
%macro memory 2
%1:
    mov ecx,6000000
    mov edx,1
    mov edi,DATA
    mov ebx,DATA
.loop:
    imul edx,edx,69069
    inc edx
    mov eax,edx
    and eax,(%2-1) & ~3
    add [edi+eax],edx
    add esi,[ebx+eax]
    dec ecx
    jnz .loop
    xor edx,esi
    ret
%endmacro
memory memory_4k, 0x1000
memory memory_256k, 0x40000
memory memory_4m, 0x400000
memory memory_64m, 0x4000000

; -- REP: 40 times a megabyte of each: fill, copy, compare, search --
strings:
    mov ebp,40
.loop:
    mov edi,DATA
    mov ecx,0x40000
    mov eax,0x01010101
    imul eax,ebp
    or eax,0x80808080
    rep stosd
    mov esi,DATA
    mov edi,DATA+0x200000
    mov ecx,0x40000
    rep movsd
    mov esi,DATA
    mov edi,DATA+0x200000
    mov ecx,0x40000
    repe cmpsd
    lea edx,[edx*2+ecx]
    mov edi,DATA
    mov ecx,0x100000
    xor al,al
    repne scasb
    add edx,ecx
    add edx,[DATA+0x200000+ebp*4]
    dec ebp
    jnz .loop
    ret

; -- x87: 18 instructions a round, one square root and one division among them --
x87:
    mov ecx,1000000
    fninit
    fld dword [tenth]
    fldz
    fld1
.loop:
    fadd st2
    fld st0
    fmul st0,st1
    fadd st2
    fsqrt
    fdiv st0,st1
    fld st0
    fmul st0,st0
    fsub st1
    fchs
    fabs
    faddp
    fadd st2,st0
    fxch st0,st1
    fst dword [scratch]
    fstp st2
    dec ecx
    jnz .loop
    jmp float_hash

; -- x87's functions: sine and cosine, arctangent, logarithm, power of two --
functions:
    mov ecx,200000
    fninit
    fldz
.loop:
    fadd dword [tenth]
    fld st0
    fsincos
    fpatan
    fabs
    fld1
    fxch
    fadd dword [tenth]
    fyl2x
    fmul dword [tenth]
    f2xm1
    fmul dword [tenth]
    faddp
    dec ecx
    jnz .loop
float_hash:
    fstp tword [scratch]
    fninit
    mov edx,[scratch]
    xor edx,[scratch+4]
    movzx eax,word [scratch+8]
    add edx,eax
    ret

; -- SSE: 4 floats a time --
sse:
    test dword [cpu_edx],1<<26
    jz .none
    mov eax,cr4
    or eax,0x600
    mov cr4,eax
    mov ecx,2000000
    movups xmm0,[floats]
    movaps xmm1,xmm0
    movaps xmm2,xmm0
    xorps xmm3,xmm3
    pxor xmm4,xmm4
    movups xmm6,[floats]
.loop:
    mulps xmm1,xmm0
    addps xmm1,xmm6
    subps xmm2,xmm1
    maxps xmm2,xmm0
    minps xmm2,xmm1
    addps xmm3,xmm2
    shufps xmm0,xmm0,0x39
    divps xmm1,xmm6
    paddd xmm4,xmm1
    pmuludq xmm5,xmm4
    pxor xmm5,xmm1
    punpckldq xmm5,xmm4
    dec ecx
    jnz .loop
    pxor xmm3,xmm4
    pxor xmm3,xmm5
    movups [scratch],xmm3
    mov edx,[scratch]
    xor edx,[scratch+4]
    add edx,[scratch+8]
    xor edx,[scratch+12]
.none:
    ret

; -- page faults: a page goes absent, is touched, and comes back by the handler --
faults:
    paging 1
    mov ecx,300000
    mov edi,0x40200000
    mov ebx,PTAB+0x200*4
.loop:
    and dword [ebx],~1
    invlpg [edi]
    add edx,[edi]
    inc edx
    dec ecx
    jnz .loop
    paging 0
    ret
fault:
    or dword [PTAB+0x200*4],1
    add esp,4
    iretd

; -- interrupts of a chip: the serial port's empty transmitter, enabled again and again --
interrupts:
    mov al,0xef
    out 0x21,al
    mov dx,0x3fc
    mov al,8
    out dx,al
    sti
    mov ecx,50000
.loop:
    mov dx,0x3f9
    xor al,al
    out dx,al
    mov al,2
    out dx,al
    nop
.wait:
    cmp ebx,esi
    je .wait
    mov ebx,esi
    dec ecx
    jnz .loop
    cli
    mov dx,0x3f9
    xor al,al
    out dx,al
    mov al,0xff
    out 0x21,al
    mov edx,esi
    ret
serial:
    push eax
    push edx
    inc esi
    mov dx,0x3fa
    in al,dx
    mov al,0x20
    out 0x20,al
    pop edx
    pop eax
    iretd

; -- system calls: from ring 3 by an interrupt gate and back --
system_calls:
    mov [back],esp
    push DATA3
    push 0x8c000
    push 2
    push CODE3
    push .user
    mov ax,DATA3
    mov ds,ax
    mov es,ax
    iretd
.user:
    mov ecx,500000
.loop:
    mov eax,ecx
    int 0x80
    add edx,eax
    dec ecx
    jnz .loop
    mov eax,-1
    int 0x80
call_gate:
    cmp eax,-1
    je .leave
    lea eax,[eax*3+1]
    iretd
.leave:
    mov ax,DATA0
    mov ds,ax
    mov es,ax
    mov esp,[ss:back]
    ret

; -- address spaces: CR3 changes, and eight pages are read in each --
spaces:
    paging 1
    mov ecx,200000
.loop:
    mov eax,PDIR2
    mov cr3,eax
%assign i 0
%rep 8
    add edx,[0x40200000+i*0x1000]
%assign i i+1
%endrep
    mov eax,PDIR
    mov cr3,eax
%assign i 0
%rep 8
    add edx,[0x40200000+i*0x1000]
%assign i i+1
%endrep
    inc edx
    dec ecx
    jnz .loop
    paging 0
    ret

; -- code that changes itself before every call --
changing:
    mov ecx,300000
.loop:
    mov [.body+1],ecx
    call .body
    rol edx,3
    xor edx,eax
    dec ecx
    jnz .loop
    ret
align 64
.body:
    mov eax,0
    lea eax,[eax+eax*2]
    ret
align 64

stray:
    mov al,'!'
    out 0xe9,al
    cli
    hlt
    jmp stray

align 8
list:
%macro entry 2
    dd %1
    db %2,0
%endmacro
    entry integer,"integer"
    entry branch,"branch"
    entry calls,"call"
    entry memory_4k,"memory 4 KiB"
    entry memory_256k,"memory 256 KiB"
    entry memory_4m,"memory 4 MiB"
    entry memory_64m,"memory 64 MiB"
    entry strings,"rep"
    entry x87,"x87"
    entry functions,"x87 functions"
    entry sse,"sse"
    entry faults,"page fault"
    entry interrupts,"interrupt"
    entry system_calls,"system call"
    entry spaces,"cr3"
    entry changing,"changing code"
    dd 0

align 8
gdt:
    dq 0
    dq 0x00cf9b000000ffff
    dq 0x00cf93000000ffff
    dq 0x00cffb000000ffff
    dq 0x00cff3000000ffff
    dw 0x67, tss, 0x8900, 0     ; below 64 KiB
gdtr:
    dw gdtr-gdt-1
    dd gdt
idtr:
    dw 256*8-1
    dd idt
align 16
floats: dd 1.0, 0.5, 0.25, 1.5
tenth: dd 0.1
cpu_edx: dd 0
back: dd 0
scratch: times 4 dd 0
tss: times 26 dd 0
times SECTORS*512+512-($-$$) db 0
idt equ $
