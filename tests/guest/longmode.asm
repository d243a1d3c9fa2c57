; SPDX-License-Identifier: MIT
; A boot sector and what it loads: long mode, one test after another; each prints through port E9h
; where it led and what was pushed.  longmode.expect is what Bochs prints as an Intel CPU, but for
; two lines: Intel's processors pop RSP by a 32-bit IRET in 64-bit code, too, and the manual's pseudo
; code has no old selector in the error code of #SS for a stack from the TSS.  Assembled with nasm.
;
; Every vector's handler prints the vector, the error code, what was pushed (RIP, CS, RFLAGS, RSP,
; SS), its own RSP and SS, CR2 where it is a page fault, RAX and RCX; then the world is set up
; afresh and the next test begins.  A test that gets through ends with INT 30h.
%define SECTORS 24
%define CODE64 8
%define DATA0 0x10
%define CODE32 0x18
%define DATA32 0x20
%define USER32 0x2b     ; SYSRET's order: 32-bit code, data, 64-bit code
%define USERDATA 0x33
%define USER64 0x3b
%define TSS 0x40        ; 16 bytes
%define GATE 0x50       ; call gate to kernel code, DPL 3
%define BADGATE 0x60    ; to 32-bit code
%define CODELD 0x70     ; L and D
%define CODE16 0x78
%define STK16 0x83      ; DPL 3, 16 bits
%define LDTS 0x88
%define TSS2 0x98       ; TSS of 16 bits
%define CODE16U 0xa3
%define FARTSS 0xa8     ; base is not canonical

%define PML4 0x100000
%define PDPT 0x101000
%define PD 0x102000
%define PT 0x103000
%define KSTACK 0x80000  ; tests'
%define RSP0 0x81000
%define IST1 0x82008    ; not aligned
%define IST2 0x83000
%define IST3 0x84000
%define USTACK 0x90000
%define PAGE_RO 0x91000
%define PAGE_ABSENT 0x92000
%define PAGE_NX 0x93000
%define PAGE_RSVD 0x94000
%define PAGE_KERNEL 0x95000
%define PAGE_KNX 0x96000

%include "boot.inc"
    BOOT_SECTORS SECTORS,gdtr,CODE32,pm

pm:
    mov ax,DATA32
    mov ds,ax
    mov es,ax
    mov ss,ax
    mov esp,KSTACK
    mov al,0xff         ; no interrupts
    out 0x21,al
    out 0xa1,al
    mov edi,PML4        ; identity mapping of 2 MiB in small pages, 2 MiB behind in a large one
    mov ecx,0x4000/4
    xor eax,eax
    cld
    rep stosd
    mov dword [PML4],PDPT+7
    mov dword [PDPT],PD+7
    mov dword [PD],PT+7
    mov dword [PD+8],0x200087
    call tables
    mov ecx,0xc0000080
    rdmsr
    or eax,0x901        ; NXE, LME, SCE
    wrmsr
    mov eax,cr4
    or eax,0x20
    mov cr4,eax
    mov eax,PML4
    mov cr3,eax
    mov eax,cr0
    and eax,0x1fffffff  ; caches on
    or eax,0x80010000   ; PG, WP
    mov cr0,eax
    jmp CODE64:lm

; The pages that are not plain ones.
%macro SPECIAL_PAGES 0
    mov byte [PT+(PAGE_RO>>9)],5
    mov byte [PT+(PAGE_ABSENT>>9)],6
    mov dword [PT+(PAGE_NX>>9)+4],0x80000000
    mov dword [PT+(PAGE_RSVD>>9)+4],0x00080000
    mov byte [PT+(PAGE_KERNEL>>9)],3
    mov byte [PT+(PAGE_KNX>>9)],3
    mov dword [PT+(PAGE_KNX>>9)+4],0x80000000
%endmacro

; The small pages as they are at first.
tables:
    mov edi,PT
    mov eax,7
    mov ecx,512
.page:
    mov [edi],eax
    mov dword [edi+4],0
    add eax,0x1000
    add edi,8
    loop .page
    SPECIAL_PAGES
    ret

bits 64
lm:
    xor r15d,r15d       ; number of the test
next:
    mov rsp,KSTACK
    lgdt [gdtr]
    lidt [idtr]
    mov ax,DATA0
    mov ss,ax
    mov ds,ax
    mov es,ax
    xor eax,eax
    mov fs,ax
    mov gs,ax
    push 2
    popfq
    mov edi,PT
    mov ecx,512
    mov eax,7
.page:
    mov [rdi],rax
    add rax,0x1000
    add edi,8
    loop .page
    SPECIAL_PAGES
    mov eax,PML4
    mov cr3,rax
    call set_idt
    mov byte [gdt+TSS+5],0x89
    mov ax,TSS
    ltr ax
    xor eax,eax
    lldt ax
    mov qword [tss+4],RSP0
    mov qword [tss+0x24],IST1
    mov qword [tss+0x2c],IST2
    mov qword [tss+0x34],IST3
    mov ecx,0xc0000080
    mov eax,0xd01
    xor edx,edx
    wrmsr
    mov ecx,0xc0000081  ; STAR
    xor eax,eax
    mov edx,(USER32 << 16) | CODE64
    wrmsr
    mov ecx,0xc0000082
    mov eax,lstar
    xor edx,edx
    wrmsr
    mov ecx,0xc0000084
    mov eax,0x700
    wrmsr
    mov ecx,0x174
    xor eax,eax
    wrmsr
    mov al,10
    out 0xe9,al
    mov al,'T'
    out 0xe9,al
    mov eax,r15d
    mov cl,2
    call print
    mov al,10
    out 0xe9,al
    mov rax,[tests+r15*8]
    inc r15d
    test rax,rax
    jz finish
    push rax
    xor ecx,ecx
    xor edx,edx
    xor ebx,ebx
    xor ebp,ebp
    xor esi,esi
    xor edi,edi
    mov eax,0x11111111
    ret
finish:
    mov al,'Z'
    out 0xe9,al
    mov al,10
    out 0xe9,al
    cli
    hlt
    jmp finish

; RAX in hex, CL digits.
print:
    push rax
    push rcx
    push rdx
    mov rdx,rax
    movzx ecx,cl
.next:
    mov rax,rdx
    dec ecx
    push rcx
    shl ecx,2
    shr rax,cl
    pop rcx
    and eax,15
    mov al,[hex+rax]
    out 0xe9,al
    test ecx,ecx
    jnz .next
    mov al,' '
    out 0xe9,al
    pop rdx
    pop rcx
    pop rax
    ret
hex: db "0123456789abcdef"

; RDI bytes of stubs lie STUB apart; vectors 8, 10 to 14, 17 push an error code.
set_idt:
    mov edi,idt
    mov eax,stubs
    mov ecx,64
.gate:
    mov [rdi],ax
    mov word [rdi+2],CODE64
    mov word [rdi+4],0x8e00
    mov edx,eax
    shr edx,16
    mov [rdi+6],dx
    mov qword [rdi+8],0
    add edi,16
    add eax,stub1-stub0
    loop .gate
    mov byte [idt+8*16+4],2     ; #DF, #SS on stacks of their own
    mov byte [idt+12*16+4],3
    mov byte [idt+0x30*16+5],0xee
    mov byte [idt+0x31*16+4],1
    mov byte [idt+0x31*16+5],0xee
    mov byte [idt+3*16+5],0xef
    ret

align 16
%macro STUB 1
    %if %1 = 8 || (%1 >= 10 && %1 <= 14) || %1 = 17
    db 0x48,0x87,0xc0   ; xchg rax,rax: an error code is there
    %else
    push byte -1
    nop
    %endif
    push byte %1
    jmp near handler
%endmacro
stubs:
stub0:
    STUB 0
stub1:
%assign v 1
%rep 63
    STUB v
    %assign v v+1
%endrep

handler:                ; vector, error code, RIP, CS, RFLAGS, RSP, SS
    push rax
    push rcx
    mov rax,[rsp+16]
    mov cl,2
    call print
    mov rax,[rsp+24]
    mov cl,4
    call print
    mov rax,[rsp+32]
    mov cl,16
    call print
    mov rax,[rsp+40]
    mov cl,4
    call print
    mov rax,[rsp+48]
    and eax,0x3f7f00    ; not the arithmetic flags
    mov cl,6
    call print
    mov rax,[rsp+56]
    mov cl,16
    call print
    mov rax,[rsp+64]
    mov cl,4
    call print
    lea rax,[rsp+72]
    mov cl,16
    call print
    mov eax,ss
    mov cl,4
    call print
    mov rax,[rsp+8]
    mov cl,16
    call print
    mov rax,[rsp]
    mov cl,16
    call print
    cmp dword [rsp+16],14
    jne .no
    mov rax,cr2
    mov cl,16
    call print
.no:
    jmp next

lstar:                  ; RCX, R11 and the new selectors are told by the handler
    mov rax,r11
    and eax,0x3f7f00
    int 0x30

; -- going to level 3 --

; To RAX with CS in BX.
%macro USER 2           ; label, selector
    push USERDATA
    push USTACK
    push 0x202
    push %2
    mov eax,%1
    push rax
    mov eax,0x11111111
    iretq
%endmacro
%macro DONE 0
    int 0x30
%endmacro

%macro TEST 0
    %assign ntests ntests+1
    test %+ ntests:
%endmacro
%assign ntests 0

TEST ; INT in 64-bit code
    DONE
TEST ; UD2
    ud2
TEST ; divide by zero
    div ecx
TEST ; INT3 through a trap gate
    sti
    int3
TEST ; a gate with IST, whose RSP is not aligned
    int 0x31
TEST ; the current stack is aligned
    mov rsp,KSTACK-3
    int 0x30
TEST ; level 3: RSP0, a null SS
    USER .user,USER64
.user: DONE
TEST ; level 3: a gate of DPL 0
    USER .user,USER64
.user: int 0x20
TEST ; level 3: IST
    USER .user,USER64
.user: int 0x31
TEST ; SYSCALL from level 3
    USER .user,USER64
.user: syscall
    nop
TEST ; SYSCALL from level 0
    sti
    std
    syscall
TEST ; SYSCALL without EFER.SCE
    mov ecx,0xc0000080
    mov eax,0xd00
    xor edx,edx
    wrmsr
    syscall
TEST ; SYSRET to 64-bit code
    mov ecx,.user
    mov r11d,0x202
    o64 sysret
.user: DONE
TEST ; SYSRET to 32-bit code
    mov ecx,.user
    mov r11d,0x302
    and r11d,0xfffffeff
    mov rsp,USTACK
    sysret
bits 32
.user: inc eax
    DONE
bits 64
TEST ; SYSRET to an address that is not canonical
    mov rcx,0x800000000000
    mov r11d,2
    o64 sysret
TEST ; SYSRET at level 3
    USER .user,USER64
.user: sysret
TEST ; compatibility mode at level 3: INC EAX is no prefix
    USER .user,USER32
bits 32
.user: inc eax
    DONE
bits 64
TEST ; compatibility mode, 16 bits
    USER .user,CODE16U
bits 16
.user: inc ax
    mov cx,-1
    DONE
bits 64
TEST ; compatibility mode at level 0 by a far jump, a fault there
    jmp far dword [.to]
bits 32
.user: mov eax,[0x92000]
bits 64
.to: dd .user
    dw CODE32
TEST ; compatibility mode at level 0: the stack is pushed all the same
    jmp far dword [.to]
bits 32
.user: mov esp,KSTACK-6
    DONE
bits 64
.to: dd .user
    dw CODE32
TEST ; far jump with 64-bit offset
    jmp far qword [.to]
    ud2
.there: DONE
.to: dq .there
    dw CODE64
TEST ; far call and return, 64 bits
    call far qword [.to]
    DONE
.there:
    mov rax,[rsp+8]
    o64 retf
.to: dq .there
    dw CODE64
TEST ; far call with 32-bit offset pushes 32 bits
    call far dword [.to]
    DONE
.there:
    mov rcx,rsp
    retf
.to: dd .there
    dw CODE64
TEST ; far return to level 3
    push USERDATA
    push USTACK
    push USER64
    push .user
    o64 retf
.user: DONE
TEST ; a code segment with L and D
    jmp far dword [.to]
.to: dd 0
    dw CODELD
TEST ; far jump to a data segment
    jmp far dword [.to]
.to: dd 0
    dw DATA0
TEST ; far jump to a TSS
    jmp far dword [.to]
.to: dd 0
    dw TSS
TEST ; call gate from level 3
    USER .user,USER64
.user: call far dword [.to]
.to: dd 0
    dw GATE
TEST ; call gate from compatibility mode
    USER .user,USER32
bits 32
.user: call GATE:0
bits 64
TEST ; call gate from level 0
    call far dword [.to]
.to: dd 0
    dw GATE
TEST ; call gate to 32-bit code
    call far dword [.to]
.to: dd 0
    dw BADGATE
TEST ; read of what is not canonical
    mov rax,0x800000000000
    mov ecx,[rax]
TEST ; the same by RBP
    mov rbp,0x800000000000
    mov ecx,[rbp+8]
TEST ; the same by RBP and DS's prefix
    mov rbp,0x800000000000
    db 0x3e
    mov ecx,[rbp+8]
TEST ; the same by FS's base
    mov ecx,0xc0000100
    mov eax,-16
    mov edx,0x7fff
    wrmsr
    mov ecx,[fs:16]
TEST ; an access that ends beyond
    mov rax,0x7fffffffffff
    mov ecx,[rax]
TEST ; PUSH to what is not canonical
    mov rsp,0x800000000008
    push rax
TEST ; POP from there
    mov rsp,0xffff7ffffffffff8
    pop rax
TEST ; CALL with such a stack
    mov rsp,0x800000000008
    call .there
.there: nop
TEST ; jump to what is not canonical
    mov rax,0x800000000000
    jmp rax
TEST ; call to what is not canonical
    mov rax,0x800000000000
    call rax
TEST ; return to what is not canonical
    mov rax,0xffff7fffffffffff
    push rax
    ret
TEST ; IRETQ to what is not canonical
    push DATA0
    push KSTACK
    push 2
    push CODE64
    mov rax,0x800000000000
    push rax
    iretq
TEST ; a handler that is not canonical
    mov dword [idt+0x32*16+8],0x8000
    int 0x32
TEST ; RSP0 that is not canonical
    mov dword [tss+8],0x8000
    USER .user,USER64
.user: DONE
TEST ; page fault: read
    mov eax,[PAGE_ABSENT+4]
TEST ; page fault: write
    mov [PAGE_ABSENT+8],eax
TEST ; page fault: write under WP
    mov [PAGE_RO+1],al
TEST ; page fault: fetch of an absent page
    mov eax,PAGE_ABSENT
    jmp rax
TEST ; page fault: fetch under NX
    mov eax,PAGE_NX
    jmp rax
TEST ; page fault: level 3, supervisor's page
    USER .user,USER64
.user: mov eax,[PAGE_KERNEL]
TEST ; page fault: level 3, write to it
    USER .user,USER64
.user: mov [PAGE_KERNEL],eax
TEST ; page fault: level 3, absent
    USER .user,USER64
.user: mov eax,[PAGE_ABSENT]
TEST ; page fault: level 3, write, absent
    USER .user,USER64
.user: mov [PAGE_ABSENT],eax
TEST ; page fault: level 3, fetch under NX
    USER .user,USER64
.user: mov eax,PAGE_NX
    jmp rax
TEST ; page fault: level 3, fetch of the supervisor's page under NX
    USER .user,USER64
.user: mov eax,PAGE_KNX
    jmp rax
TEST ; page fault: reserved bit
    mov eax,[PAGE_RSVD]
TEST ; page fault: NX is reserved without EFER.NXE
    mov ecx,0xc0000080
    mov eax,0x501
    xor edx,edx
    wrmsr
    mov rax,cr3
    mov cr3,rax
    mov eax,[PAGE_NX]
TEST ; page fault: beyond the tables, address of 64 bits
    mov rax,0xffff800000000123
    mov ecx,[rax]
TEST ; an access over two pages, the second is absent
    mov rax,[PAGE_ABSENT-4]
TEST ; a large page
    mov dword [0x2ffffc],0x600d
    mov eax,[0x2ffffc]
    DONE
TEST ; a bit of a large page's address that must be clear
    mov dword [PD+8],0x202087
    mov rax,cr3
    mov cr3,rax
    mov eax,[0x200000]
TEST ; #PF's gate is not present: double fault
    mov byte [idt+14*16+5],0x0e
    mov eax,[PAGE_ABSENT]
TEST ; leaving paging in 64-bit code
    mov rax,cr0
    and eax,0x7fffffff
    mov cr0,rax
TEST ; leaving PAE
    mov eax,0
    mov cr4,rax
TEST ; CR0's upper half
    mov rax,cr0
    bts rax,40
    mov cr0,rax
TEST ; CR3's reserved bits
    mov rax,cr3
    bts rax,60
    mov cr3,rax
TEST ; EFER.LME under paging
    mov ecx,0xc0000080
    mov eax,0xc01
    xor edx,edx
    wrmsr
TEST ; EFER's reserved bits
    mov ecx,0xc0000080
    mov eax,0xd03
    xor edx,edx
    wrmsr
TEST ; EFER as it reads
    mov ecx,0xc0000080
    rdmsr
    DONE
TEST ; LSTAR that is not canonical
    mov ecx,0xc0000082
    xor eax,eax
    mov edx,0x8000
    wrmsr
TEST ; bases of FS and GS, SWAPGS
    mov ecx,0xc0000102
    mov eax,0x12345678
    mov edx,0xffff8000
    wrmsr
    swapgs
    mov ecx,0xc0000101
    rdmsr
    shl rdx,32
    add rax,rdx
    DONE
TEST ; SWAPGS at level 3
    USER .user,USER64
.user: swapgs
TEST ; a load of FS replaces its base
    mov ecx,0xc0000100
    mov eax,0x12345678
    mov edx,0x1234
    wrmsr
    mov ax,DATA0
    mov fs,ax
    rdmsr
    shl rdx,32
    add rax,rdx
    DONE
TEST ; data through GS
    mov ecx,0xc0000101
    mov eax,.data-8
    xor edx,edx
    wrmsr
    mov eax,[gs:8]
    DONE
.data: dd 0xcafe
TEST ; DS's base and limit mean nothing
    mov ax,STK16
    mov ds,ax
    mov eax,[.data]
    DONE
.data: dd 0xbeef
TEST ; a write through CS
    db 0x2e
    mov dword [.data],0x5555
    mov eax,[.data]
    DONE
.data: dd 0
TEST ; null SS at level 0
    xor eax,eax
    mov ss,ax
    push rax
    DONE
TEST ; null SS at level 3
    USER .user,USER64
.user: xor eax,eax
    mov ss,ax
TEST ; IRETQ to a null SS at level 0
    push 0
    push KSTACK-8
    push 2
    push CODE64
    push .there
    iretq
.there: DONE
TEST ; IRETQ to a null SS at level 3
    push 3
    push USTACK
    push 2
    push USER64
    push .there
    iretq
.there: DONE
TEST ; IRETQ under NT
    push 0x4002
    popfq
    iretq
TEST ; IRET of 32 bits pops SS and RSP too
    sub rsp,20
    mov dword [rsp],.there
    mov dword [rsp+4],CODE64
    mov dword [rsp+8],0x2
    mov dword [rsp+12],0x70000
    mov dword [rsp+16],DATA0
    iretd
.there: DONE
TEST ; IRETQ to a 16-bit stack
    push STK16
    mov rax,0x12340009abcd
    push rax
    push 2
    push USER32
    push .user
    iretq
bits 32
.user: DONE
bits 64
%macro INVALID 1+
TEST ; invalid here: %1
    db %1
%endmacro
    INVALID 0x06
    INVALID 0x0e
    INVALID 0x1f
    INVALID 0x27
    INVALID 0x2f
    INVALID 0x37
    INVALID 0x3f
    INVALID 0x60
    INVALID 0x61
    INVALID 0x9a,0,0,0,0,8,0
    INVALID 0xce
    INVALID 0xd4,10
    INVALID 0xd5,10
    INVALID 0xd6
    INVALID 0xea,0,0,0,0,8,0
    INVALID 0x82,0xc0,1
    INVALID 0xf0,0x48,0x89,0x00
TEST ; MOVSXD
    mov ebx,0x80000001
    movsxd rax,ebx
    DONE
TEST ; a 32-bit result clears the upper half, a 16-bit one does not
    mov rax,-1
    mov rcx,-1
    xor cx,cx
    mov eax,eax
    DONE
TEST ; MOV with a 64-bit address
    mov rax,0x600d600d600d600d
    mov [qword 0x70008],rax
    xor eax,eax
    mov eax,[qword 0x70008]
    mov rcx,[0x70008]
    DONE
TEST ; RIP-relative, with an immediate behind
    cmp dword [rel .data],0x1234
    sete al
    lea rcx,[rel .data]
    DONE
.data: dd 0x1234
TEST ; 32-bit addresses wrap
    mov rcx,0xffffffff00000000
    lea rax,[ecx+.data]
    mov ecx,[ecx+.data]
    DONE
.data: dd 0x4321
TEST ; byte registers with and without REX
    mov rax,0x1122
    mov rsp,KSTACK-0x55
    mov cl,ah
    mov al,spl
    DONE
TEST ; REX that is not last is ignored
    mov rax,-1
    db 0x48,0x66,0xb8,0,0 ; mov ax,0
    DONE
TEST ; PUSH and POP of segment registers
    push fs
    mov rax,[rsp]
    pop gs
    mov rcx,rsp
    DONE
TEST ; PUSH of 16 bits
    push word 0x1234
    mov rcx,rsp
    pop ax
    DONE
TEST ; PUSH of an immediate is sign-extended
    push 0xffffffff80000000
    pop rax
    DONE
TEST ; ENTER and LEAVE
    mov rbp,KSTACK-0x100
    enter 32,1
    mov rax,rbp
    mov rcx,rsp
    leave
    DONE
TEST ; CMPXCHG16B
    xor edx,edx
    xor eax,eax
    mov rbx,1
    mov rcx,2
    mov qword [0x70000],0
    mov qword [0x70008],0
    cmpxchg16b [0x70000]
    mov rax,[0x70000]
    mov rcx,[0x70008]
    DONE
TEST ; CMPXCHG16B that is not aligned
    cmpxchg16b [0x70008]
TEST ; LOOP by RCX, by ECX
    mov rcx,0x100000001
    a32 loop .far
    mov eax,1
    DONE
.far: mov eax,2
    DONE
TEST ; REP STOSQ
    mov edi,0x70000
    mov ecx,3
    mov rax,0x1234567800000000
    rep stosq
    mov rax,[0x70010]
    mov rcx,rdi
    DONE
TEST ; DIV of 128 bits, overflow
    mov rdx,5
    mov rax,0
    mov rbx,5
    div rbx
TEST ; DIV of 128 bits
    mov rdx,4
    mov rax,0
    mov rbx,5
    div rbx
    mov rcx,rdx
    DONE
TEST ; CR8
    mov eax,5
    mov cr8,rax
    mov rcx,cr8
    xor eax,eax
    mov cr8,rax
    DONE
TEST ; CR8's reserved bits
    mov eax,16
    mov cr8,rax
TEST ; DR7's upper half
    mov rax,0x100000400
    mov dr7,rax
TEST ; LLDT with a base of 64 bits, a selector in it
    mov ax,LDTS
    lldt ax
    mov ax,4
    mov ds,ax
    mov eax,ds
    DONE
TEST ; LTR of a busy TSS
    mov ax,TSS
    ltr ax
TEST ; LTR of a 16-bit TSS
    mov ax,TSS2
    ltr ax
TEST ; LTR of a base that is not canonical
    mov ax,FARTSS
    ltr ax
TEST ; LAR of a 16-bit TSS finds nothing
    mov cx,TSS2
    lar eax,cx
    setz cl
    DONE
TEST ; LSL of a TSS
    mov cx,TSS
    lsl eax,cx
    setz cl
    DONE
TEST ; SGDT stores ten bytes
    mov qword [0x70000],-1
    mov qword [0x70008],-1
    sgdt [0x70000]
    mov rax,[0x70002]
    mov rcx,[0x70008]
    DONE
TEST ; LIDT with a base that is not canonical
    mov word [0x70000],0xfff
    mov rax,0x800000000000
    mov [0x70002],rax
    lidt [0x70000]
TEST ; a 16-bit gate in the IDT
    mov byte [idt+0x33*16+5],0x86
    int 0x33
TEST ; a task gate in the IDT
    mov byte [idt+0x33*16+5],0x85
    int 0x33
TEST ; a gate to 32-bit code
    mov word [idt+0x33*16+2],CODE32
    int 0x33
TEST ; a vector beyond the IDT
    int 0x80
TEST ; SYSENTER and SYSEXIT
    mov ecx,0x174
    mov eax,CODE64
    xor edx,edx
    wrmsr
    inc ecx
    mov eax,0x70000
    wrmsr
    inc ecx
    mov eax,.enter
    wrmsr
    USER .user,USER32
bits 32
.user: sysenter
bits 64
.enter:
    mov rcx,rsp
    mov eax,cs
    shl eax,16
    mov ax,ss
    DONE
TEST ; SYSEXIT to 64-bit code
    mov ecx,0x174
    mov eax,0x18
    xor edx,edx
    wrmsr
    mov ecx,USTACK
    mov edx,.user
    o64 sysexit
.user: DONE
TEST ; LAHF and SAHF
    mov ah,0xd5
    sahf
    xor eax,eax
    lahf
    DONE
TEST ; PUSHFQ and POPFQ
    push 0x200202
    popfq
    pushfq
    pop rax
    and eax,0x3f7f00
    DONE
TEST ; TF: SYSCALL with FMASK clearing it
    USER .user,USER64
.user:
    push 0x302
    popfq
    syscall
TEST ; instruction breakpoint at an address of 64 bits is not met
    mov rax,0x100000000+.there
    mov dr0,rax
    mov eax,0x401
    mov dr7,rax
.there:
    mov ecx,0x400
    mov dr7,rcx
    DONE
TEST ; the monitor's way out: paging off in compatibility mode, and back
    jmp far dword [.to]
bits 32
.low:
    mov ax,DATA32
    mov ss,ax
    mov ds,ax
    mov eax,cr0
    btr eax,31
    mov cr0,eax
    mov ecx,0xc0000080
    rdmsr
    mov ebx,eax
    mov eax,cr0
    bts eax,31
    mov cr0,eax
    jmp CODE64:.high
bits 64
.high:
    mov eax,ebx
    DONE
.to: dd .low
    dw CODE32
TEST ; level 3 keeps the bases of FS and GS, whose selectors are null
    mov dword [0x90100],0x12345678
    xor eax,eax
    mov fs,ax
    mov gs,ax
    mov ecx,0xc0000100
    mov eax,0x90100
    xor edx,edx
    wrmsr
    inc ecx
    wrmsr
    USER .user,USER64
.user:
    mov eax,[fs:0]
    mov ecx,[gs:0]
    DONE

align 8
tests:
%assign v 1
%rep ntests
    dq test %+ v
    %assign v v+1
%endrep
    dq 0

; -- tables --

align 8
gdtr: dw gdt_end-gdt-1
    dq gdt
idtr: dw 64*16-1
    dq idt
align 16
gdt:
    dq 0
    dq 0x00af9b000000ffff ; 08 64-bit code
    dq 0x00cf93000000ffff ; 10 data
    dq 0x00cf9b000000ffff ; 18 32-bit code
    dq 0x00cf93000000ffff ; 20 data
    dq 0x00cffb000000ffff ; 28 32-bit code, level 3
    dq 0x00cff3000000ffff ; 30 data, level 3
    dq 0x00affb000000ffff ; 38 64-bit code, level 3
    dw 0x67,tss-$$+0x7c00 ; 40 TSS
    dw 0x8900,0
    dq 0
    dw gate_target-$$+0x7c00,CODE64,0xec00,0 ; 50
    dq 0
    dw gate_target-$$+0x7c00,CODE32,0xec00,0 ; 60
    dq 0
    dq 0x00ef9b000000ffff ; 70 L and D
    dq 0x008f9b000000ffff ; 78 16-bit code
    dq 0x000ff3000000ffff ; 80 16-bit stack, level 3
    dw 0x0f,ldt-$$+0x7c00 ; 88 LDT
    dw 0x8200,0
    dq 0
    dw 0x2b,tss-$$+0x7c00 ; 98 16-bit TSS
    dw 0x8100,0
    dq 0x008ffb000000ffff ; a0 16-bit code, level 3
    dw 0x67,0             ; a8 TSS far away
    dw 0x8900,0
    dq 0x8000
gdt_end:
ldt:
    dq 0x00cf93000000ffff
gate_target:
    mov eax,cs
    shl eax,16
    mov ax,ss
    mov rcx,[rsp]
    int 0x30
align 16
tss: times 0x68 db 0
align 16
idt: times 64*16 db 0
times (SECTORS+1)*512-($-$$) db 0
