; SPDX-License-Identifier: MIT
; System management mode: entry, what is saved, RSM, what is blocked meanwhile, who sees SMRAM.  Each
; test prints its number and what it has seen; SMIs and NMIs print "s" and "n" in their order.
; smm.expect is what QEMU prints, but for the restart of HLT, which is the manual's, and for SMRAM
; that is closed to data, which is the host bridge's data sheet's.  With LEGACY
; defined the save area has its 32-bit form (smm_legacy.expect), and there is no long mode.
; The firmware has set SMBASE to A0000h and has let port B2h raise SMIs.
%include "boot.inc"
%include "paragraphs.inc"
%include "pics.inc"
BOOT_SECTORS 10, gdtr, 8, start

APIC equ 0xfee00000
IDT equ 0x1000
ACTION equ 0x5000       ; what the handler does
SMIS equ 0x5004         ; how often it was there
TICKS equ 0x5008        ; of the APIC's timer
NESTED equ 0x500c       ; what the NMI's handler does
NEWBASE equ 0x5010
NUMBER equ 0x5014       ; of the test
PML4 equ 0x10000
PDPT equ 0x11000
PD equ 0x12000
SMM_STACK equ 0x6800
SEEN equ 0xa1000        ; SMRAM, or the VGA's
VALUE equ 0x13579bdf

%ifdef LEGACY
F_AX equ 0xffd0
F_IP equ 0xfff0
F_BASE equ 0xfef8
F_HALT equ 0xff02
%else
F_AX equ 0xfff8
F_IP equ 0xff78
F_BASE equ 0xff00
F_HALT equ 0xfec9
%endif
F_REVISION equ 0xfefc

; One SMI, with an action for the handler.
%macro SMI 1
    mov dword [ACTION],%1
    out 0xb2,al
    SETTLE
%endmacro
; By the next instruction it has come; QEMU needs a jump for that.
%macro SETTLE 0
    jmp %%n
%%n:
%endmacro
%macro CONFIG 2 ; a byte of the host bridge
    mov eax,0x80000000 | %1 & 0xfc
    mov dx,0xcf8
    out dx,eax
    mov al,%2
    mov dx,0xcfc + (%1 & 3)
    out dx,al
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
    xor eax,eax
    mov edi,ACTION
    mov ecx,0x100
    rep stosd
    mov edi,IDT
    mov ecx,0x200
    rep stosd
    mov dword [IDT+2*8],on_nmi + 0x80000
    mov dword [IDT+2*8+4],0x8e00
    mov dword [IDT+6*8],on_ud + 0x80000
    mov dword [IDT+6*8+4],0x8e00
    mov dword [IDT+0x40*8],on_timer + 0x80000
    mov dword [IDT+0x40*8+4],0x8e00
    lidt [idtr]
    call pic_reset
    mov dword [APIC+0xf0],0x1ff
    CONFIG 0x72,0x4a    ; SMRAM open to all
    mov edi,0xa8000
    call copy_handler
    mov dword [SEEN],VALUE
    CONFIG 0x72,0x0a

    TEST ; port B2h, from 32-bit code
    mov ebx,0x22222222
    mov ecx,0x33333333
    mov edx,0x44444444
    mov esi,0x55555555
    mov edi,0x66666666
    mov ebp,0x77777777
    mov eax,0x11111111
    stc
    SMI 1
    pushfd
    call hex            ; all as before
    SHOW ebx
    SHOW ecx
    SHOW edx
    SHOW esi
    SHOW edi
    SHOW ebp
    SHOW esp
    pop eax
    call hex

    TEST ; SMRAM is the handler's alone
    SHOW [SEEN]
    SMI 2
    SHOW [SEEN]
    SMI 2
    mov dword [SEEN],0  ; goes to the VGA
    SMI 2

    TEST ; and so under paging
    call paging_on
    SHOW [SEEN]
    SMI 2
    SHOW [SEEN]
    SMI 1
    SHOW cr0
    SHOW cr3
    mov eax,cr0
    and eax,0x7fffffff
    mov cr0,eax

    TEST ; the handler changes EAX and where to return to
    SMI 3
    SHOW 0
changed:
    call hex

    TEST ; SMBASE
    mov edi,0x68000
    call copy_handler
    mov dword [NEWBASE],0x60000
    SMI 4
    SMI 1
    mov dword [NEWBASE],0xa0000
    SMI 4
    SMI 5

    TEST ; by the APIC
    mov dword [ACTION],5
    mov dword [APIC+0x310],0
    mov dword [APIC+0x300],0x4200
    SETTLE
    SHOW [SMIS]

    TEST ; an SMI and an NMI wait for RSM
    SMI 6
    SETTLE
    SHOW [SMIS]

    TEST ; IRET lets an NMI into the handler
    SMI 7
    SETTLE

    TEST ; NMIs that were blocked stay so
    mov dword [NESTED],1
    mov dword [ACTION],5
    mov dword [APIC+0x310],0
    mov dword [APIC+0x300],0x4400
    SETTLE

    TEST ; HLT goes on
    mov dword [ACTION],8
    call halt

    TEST ; HLT does not go on, as the handler wishes
    mov dword [ACTION],9
    call halt

    TEST ; RSM elsewhere
    rsm
    SHOW 0
after_ud:

    TEST ; address line 20 is let through
    mov dword [0x500],0x50050000
    mov dword [0x100500],0x10050000
    in al,0x92
    and al,0xfc
    out 0x92,al
    SHOW [0x100500]
    SMI 10
    SHOW [0x100500]
    in al,0x92
    or al,2
    and al,0xfe
    out 0x92,al
    SHOW [0x100500]
    SMI 10

    TEST ; the display behind SMRAM, and the handler's code still in it
    SMI 12
    SMI 2

%ifndef LEGACY
    TEST ; from 64-bit code
    call paging_long
    jmp 0x18:in_long
bits 64
in_long:
    mov rax,0x1111111122222222
    mov r8,0x8888888899999999
    mov r15,0xffffffff00000000
    mov rsp,0x123456780
    mov dword [ACTION],1
    out 0xb2,al
    SETTLE
    mov [0x5100],rax
    mov [0x5108],r8
    mov [0x5110],r15
    mov [0x5118],rsp
    mov eax,cs
    mov [0x5120],eax
    mov ecx,0xc0000080
    rdmsr
    mov [0x5124],eax
    mov rsp,0x80000
    mov dword [0x5130],.back
    mov dword [0x5134],8
    jmp dword far [0x5130]
bits 32
.back:
    mov eax,cr0
    and eax,0x7fffffff
    mov cr0,eax
    mov esi,0x5100
    mov ecx,10
.show:
    lodsd
    call hex
    loop .show
%endif

    TEST ; waiting for the serial port in the handler, with an NMI behind it
    SMI 11
    SHOW [SMIS]
    mov al,10
    out 0xe9,al
    mov al,'Z'
    out 0xe9,al
    mov al,10
    out 0xe9,al
    lidt [nothing]      ; three faults end it
    int3

; -- pieces --

copy_handler:
    mov esi,handler
    mov ecx,handler_end - handler
    rep movsb
    ret

pic_reset:
    PICS_MASKED
    ret

; HLT, out of which first the PIT raises an SMI through LINT0, then the APIC's timer an interrupt.
halt:
    call pic_reset
    mov dword [SMIS],0
    mov dword [TICKS],0
    mov al,0x30
    out 0x43,al
    mov al,0x00
    out 0x40,al
    mov al,0x40
    out 0x40,al
    mov dword [APIC+0x350],0x200
    mov al,0xfe
    out 0x21,al
    mov dword [APIC+0x3e0],0xb
    mov dword [APIC+0x320],0x40
    mov dword [APIC+0x380],100000000
    sti
    hlt
    cli
    mov dword [APIC+0x350],0x10000
    mov dword [APIC+0x380],0
    SHOW [SMIS]
    SHOW [TICKS]
    ret

; The first 4 MiB and the APIC where they are.
paging_on:
    mov edi,PML4
    mov ecx,0x400
    xor eax,eax
    rep stosd
    mov dword [PML4],0x87
    mov dword [PML4+(APIC>>22)*4],0xfec00087
    mov eax,cr4
    or al,0x10
    mov cr4,eax
    mov eax,PML4
    mov cr3,eax
    mov eax,cr0
    or eax,0x80000000
    mov cr0,eax
    ret

paging_long:
    mov edi,PML4
    mov ecx,0xc00
    xor eax,eax
    rep stosd
    mov dword [PML4],PDPT+7
    mov dword [PDPT],PD+7
    mov dword [PD],0x87
    mov eax,0x20
    mov cr4,eax
    mov eax,PML4
    mov cr3,eax
    mov ecx,0xc0000080
    xor edx,edx
    mov eax,0x100
    wrmsr
    mov eax,cr0
    or eax,0x80000000
    mov cr0,eax
    ret

on_nmi:
    push eax
    mov al,'n'
    call char
    cmp dword [NESTED],0
    je .done
    dec dword [NESTED]
    out 0xb2,al
    SETTLE
    mov dword [APIC+0x300],0x4400
    SETTLE
    mov al,'x'
    call char
.done:
    pop eax
    iret

on_timer:
    inc dword [TICKS]
    mov dword [APIC+0xb0],0
    iret

on_ud:
    mov al,'u'
    call char
    mov dword [esp],after_ud
    iret

%macro PARAGRAPH_BEGIN 0
    mov dword [SMIS],0
%endmacro
    PARAGRAPHS

; -- the handler, at SMBASE + 8000h --

%define AT(label) (label - handler + 0x8000)
%macro SAVED 1
    mov eax,[cs:%1]
    call hex16
%endmacro

bits 16
handler:
    mov esp,SMM_STACK
    inc dword [SMIS]
    push eax
    mov al,'s'
    call char16
    pop eax
    movzx ebx,byte [ACTION]
    jmp [cs:AT(actions)+ebx*2]

actions:
    dw AT(h_done), AT(h_show), AT(h_smram), AT(h_change), AT(h_base), AT(h_done), AT(h_latch)
    dw AT(h_iret), AT(h_halt), AT(h_no_halt), AT(h_a20), AT(h_wait)
    dw AT(h_closed)

h_show:
    call hex16          ; registers as they are at first
    mov eax,cr0
    call hex16
    mov eax,cr4
    call hex16
    mov eax,dr7
    call hex16
    pushfd
    pop eax
    call hex16
    mov eax,cs
    shl eax,16
    mov ax,ds
    call hex16
    SAVED F_REVISION
    SAVED F_BASE
    SAVED F_AX
    SAVED F_IP
%ifdef LEGACY
    %assign at 0xff14   ; CR4
    SAVED at
    %assign at 0xff2c   ; descriptors; selectors but LDTR's and TR's; from DR7 on
    %rep 31
    SAVED at
    %assign at at+4
    %endrep
    %assign at 0xffa8
    %rep 22
    SAVED at
    %assign at at+4
    %endrep
%else
    %assign at 0xfe00   ; segments, tables
    %rep 6*4
    SAVED at
    %assign at at+4
    %endrep
    SAVED 0xfe64
    SAVED 0xfe68
    SAVED 0xfe6c
    SAVED 0xfe70
    SAVED 0xfe74
    SAVED 0xfe84
    SAVED 0xfe88
    SAVED 0xfe8c
    SAVED 0xfe90
    SAVED 0xfe94
    SAVED 0xfed0
    SAVED 0xfed4
    SAVED 0xff48
    SAVED 0xff50
    SAVED 0xff54
    SAVED 0xff58
    SAVED 0xff60
    SAVED 0xff68
    SAVED 0xff70
    %assign at 0xff78   ; RIP, R15 to RAX
    %rep 34
    SAVED at
    %assign at at+4
    %endrep
%endif
    jmp h_done

h_smram:
    a32 mov eax,[SEEN]
    call hex16
    jmp h_done

h_change:
    mov dword [cs:F_AX],0xcafe0001
    mov dword [cs:F_IP],changed
    jmp h_done

h_base:
    mov eax,[NEWBASE]
    mov [cs:F_BASE],eax
    jmp h_done

h_latch:
    mov dword [ACTION],5
    out 0xb2,al
    out 0xb2,al
    call nmi_self
    SETTLE
    mov al,'x'
    call char16
    jmp h_done

h_iret:
    a32 lidt [cs:AT(handler_idtr)]
    mov word [2*4],AT(h_on_nmi)
    mov word [2*4+2],0xa000
    call nmi_self
    mov al,'x'
    call char16
    pushf
    push word 0xa000
    push word AT(.unblocked)
    iret
.unblocked:
    SETTLE
    mov al,'y'
    call char16
    jmp h_done
h_on_nmi:
    push ax
    mov al,'n'
    call char16
    pop ax
    iret

h_halt:
    mov al,0xff
    out 0x21,al
    movzx eax,byte [cs:F_HALT]
    call hex16
    jmp h_done

h_no_halt:
    mov al,0xff
    out 0x21,al
    mov byte [cs:F_HALT],0
    jmp h_done

h_a20:
    a32 mov eax,[0x100500]
    call hex16
    jmp h_done

h_closed:
    mov eax,0x80000070
    mov dx,0xcf8
    out dx,eax
    mov dx,0xcfe
    mov al,0x2a         ; D_CLS
    out dx,al
    a32 mov eax,[SEEN]
    call hex16
    a32 mov eax,[0xa8000]   ; from the page that is being run
    call hex16
    a32 mov dword [SEEN],0
    mov dx,0xcfe
    mov al,0x0a
    out dx,al
    a32 mov eax,[SEEN]
    call hex16
    jmp h_done

h_wait:
    call nmi_self
    mov al,'w'
    call char16
.l: mov dx,0x3fd
    in al,dx
    cmp al,0xff         ; there is none
    je .go_on
    test al,1
    jz .l
    mov dx,0x3f8
    in al,dx
.go_on:
    a32 mov eax,[SEEN]
    call hex16
h_done:
    rsm

nmi_self:
    a32 mov dword [APIC+0x310],0
    a32 mov dword [APIC+0x300],0x4400
    ret

char16:
    out 0xe9,al
    mov al,' '
    out 0xe9,al
    mov al,10
    out 0xe9,al
    ret

hex16:
    push eax
    push cx
    mov cx,8
.l: rol eax,4
    push eax
    and al,15
    cmp al,10
    jb .d
    add al,'a'-'0'-10
.d: add al,'0'
    out 0xe9,al
    pop eax
    loop .l
    mov al,' '
    out 0xe9,al
    mov al,10
    out 0xe9,al
    pop cx
    pop eax
    ret
handler_idtr: dw 0x3ff
    dd 0
handler_end:

bits 32
align 8
gdt: dq 0, 0x00cf9b000000ffff, 0x00cf93000000ffff, 0x00209b0000000000
gdtr: dw 31
    dd gdt
idtr: dw 0x7ff
    dd IDT
nothing: dw 0
    dd 0
